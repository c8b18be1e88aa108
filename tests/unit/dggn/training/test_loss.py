from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from dggn.model.gradient import GradientMagnitude
from dggn.training.config import LossConfig
from dggn.training.loss import fidelity_loss


def test_terms_by_hand() -> None:
    target = torch.zeros(1, 3, 4, 4)
    target[..., 2:] = 1.0
    image = target + 0.25
    gradient = GradientMagnitude()
    terms = fidelity_loss(
        image,
        gradient(target) + 0.5,
        target,
        gradient,
        LossConfig(pixel=2.0, branch_gradient=0.1),
    )
    assert terms["pixel"].item() == pytest.approx(2 * 0.25)
    assert terms["branch_gradient"].item() == pytest.approx(0.1 * 0.5)


def test_without_gradient_branch_there_is_one_term() -> None:
    target = torch.zeros(1, 3, 4, 4)
    terms = fidelity_loss(target, None, target, GradientMagnitude(), LossConfig())
    assert list(terms) == ["pixel"]
