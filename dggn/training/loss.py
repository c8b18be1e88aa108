"""The terms of Eq. 6 that fidelity training uses."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from dggn.model.gradient import GradientMagnitude
from dggn.training.config import LossConfig


def fidelity_loss(
    image: Tensor,
    branch_gradient: Tensor | None,
    target: Tensor,
    gradient: GradientMagnitude,
    config: LossConfig,
) -> dict[str, Tensor]:
    """Weighted loss terms by name; their sum is what is minimized.

    Args:
        image: the generator's pictures, (N, 3, H, W), float32.
        branch_gradient: its gradient branch's prediction, same shape; None without a branch.
        target: the HR pictures, same shape, RGB in [0, 1].
        gradient: the operator of Eq. 5.
        config: the weights.
    """
    terms = {"pixel": config.pixel * F.l1_loss(image, target)}
    if branch_gradient is not None:
        terms["branch_gradient"] = config.branch_gradient * F.l1_loss(
            branch_gradient, gradient(target)
        )
    return terms
