"""The recipes of the campaigns."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.training.campaign.run import RECIPES_FOLDER


def test_campaign_recipes_are_read_and_complete() -> None:
    from dggn.training.config import read_config

    recipes = RECIPES_FOLDER
    names = ("psnr", "gan", "lite", "ablation-psnr", "ablation-gan")
    psnr, gan, lite, one, two = (read_config(str(recipes / f"{name}.toml")) for name in names)
    assert (psnr.preset, gan.preset, lite.preset) == ("dggn", "dggn", "dggn-lite")
    # The ablation takes away the branch and its terms, and nothing else.
    assert replace(one, gradient_branch=True, loss=psnr.loss) == psnr
    without = replace(two, gradient_branch=True, fusion_only_steps=gan.fusion_only_steps)
    assert replace(without, loss=gan.loss) == gan
    terms = (two.loss.gradient, two.loss.gradient_adversarial, two.loss.branch_gradient)
    assert terms == (0, 0, 0)
    weights = dict(vars(gan.loss))
    assert weights.pop("phase") == 0  # not one of the paper's terms
    assert all(weights.values())
