"""The paper's terms, for tests of recipes."""

from __future__ import annotations

EQ_6_TERMS = {
    "perceptual",
    "pixel",
    "gradient",
    "adversarial",
    "gradient_adversarial",
    "branch_gradient",
}
"""Terms of the loss; the trainer has others, which are not the paper's."""
