from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import Tensor, nn

from dggn.model.gradient import GradientMagnitude
from dggn.training.loss import GeneratorLoss
from dggn.training.loss_config import LossConfig
from dggn.training.phases import grid_excess


class _Sum(nn.Module):
    """A critic that scores a picture by its sum."""

    def forward(self, image: Tensor) -> Tensor:
        return image.sum(dim=(1, 2, 3))


class _Distance(nn.Module):
    """A perceptual loss that is always 3."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        return image.new_tensor(3.0)


def _pictures() -> tuple[Tensor, Tensor]:
    target = torch.zeros(2, 3, 4, 4)
    target[..., 2:] = 1.0
    return target * 0.5 + 0.25, target


def test_six_terms_by_hand() -> None:
    image, target = _pictures()
    gradient = GradientMagnitude()
    weights = LossConfig(
        perceptual=0.5,
        pixel=2.0,
        gradient=3.0,
        adversarial=0.01,
        gradient_adversarial=0.02,
        branch_gradient=0.1,
    )
    loss = GeneratorLoss(weights, _Distance(), {"image": _Sum(), "gradient": _Sum()})
    terms = loss(image, gradient(target) + 0.5, target)
    # The edge's magnitude is 1 in two of four columns; half as much in the picture.
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {
            "perceptual": 0.5 * 3,
            "pixel": 2.0 * 0.25,
            "gradient": 3.0 * 0.25 / 2,
            "adversarial": -0.01 * image.sum().item() / 2,
            "gradient_adversarial": -0.02 * gradient(image).sum().item() / 2,
            "branch_gradient": 0.1 * 0.5,
        },
        rel=1e-4,
    )


def test_fidelity_training_has_two_terms() -> None:
    _, target = _pictures()
    terms = GeneratorLoss(LossConfig())(target, target, target)
    assert list(terms) == ["pixel", "branch_gradient"]


def test_without_gradient_branch_there_is_one_term() -> None:
    _, target = _pictures()
    terms = GeneratorLoss(LossConfig())(target, None, target)
    assert list(terms) == ["pixel"]


def test_the_phase_term_sees_grids_and_shifted_colours_but_not_texture() -> None:
    torch.manual_seed(0)
    target = torch.full((1, 3, 64, 64), 0.5)
    loss = GeneratorLoss(LossConfig(phase=1.0))

    def phase(image: Tensor) -> float:
        return float(loss(image, None, target)["phase"])

    grid = target.clone()
    grid[..., ::4, ::4] += 0.16
    assert phase(target) == 0
    assert phase(grid) == pytest.approx(0.16 / 16, rel=1e-4)
    assert phase(target + 0.02) == pytest.approx(0.02, rel=1e-4)
    texture = target + 0.16 * torch.sign(torch.randn_like(target))
    assert phase(texture) < 0.16 / 4  # each mean is of 64 pixels


def test_the_grid_term_is_weighted() -> None:
    target = torch.full((1, 3, 32, 32), 0.5)
    grid = target.clone()
    grid[..., ::4, ::4] += 0.16
    terms = GeneratorLoss(LossConfig(pixel=0.0, grid=3.0))(grid, None, target)
    assert list(terms) == ["grid"]
    assert float(terms["grid"]) == pytest.approx(3 * float(grid_excess(grid, target)))


def test_the_perceptual_loss_of_some_pictures() -> None:
    class Count(nn.Module):
        def forward(self, image: Tensor, target: Tensor) -> Tensor:
            return image.new_tensor(float(len(image)))

    image, target = _pictures()
    for compared, expected in ((0, 2.0), (1, 1.0)):
        loss = GeneratorLoss(LossConfig(perceptual=1.0), Count(), compared=compared)
        assert float(loss(image, None, target)["perceptual"]) == expected


def test_the_perceptual_loss_sees_the_same_window_of_both() -> None:
    class Corner(nn.Module):
        def forward(self, image: Tensor, target: Tensor) -> Tensor:
            assert image.shape == target.shape
            return image[0, 0, 0, 0] - 2 * target[0, 0, 0, 0]

    image = torch.arange(3 * 32 * 32.0).view(1, 3, 32, 32)
    loss = GeneratorLoss(LossConfig(perceptual=1.0), Corner())
    assert float(loss(image, None, image)["perceptual"]) == 0
    shift = torch.tensor([2, 5])
    assert float(loss(image, None, image, shift)["perceptual"]) == -(2 * 32 + 5)
