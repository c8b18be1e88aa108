"""Grids of phases are found, texture and edges are not taken for them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import Tensor
from torch.nn import functional as F

from dggn.training.phases import grid_excess, phase_means

GREY: Tensor = torch.full((1, 3, 64, 64), 0.5)


def dots(signs: Tensor) -> Tensor:
    """Return grey with one dot of 0.16 in every block, up or down."""
    picture = GREY.clone()
    picture[..., 1::4, 1::4] += 0.16 * signs
    return picture


def chequered(side: int) -> Tensor:
    """Return 16x16 signs in squares."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    signs: Tensor = 1 - 2 * ((rows // side + columns // side) % 2)
    return signs


def texture() -> Tensor:
    signs: Tensor = torch.sign(torch.randn(GREY.shape, generator=torch.manual_seed(0)))
    return GREY + 0.16 * signs


def test_phases_of_pictures_smaller_than_a_window() -> None:
    image = torch.arange(3 * 8 * 16, dtype=torch.float32).reshape(1, 3, 8, 16)
    means = phase_means(image)
    assert means.shape == (1, 192, 1, 2)
    assert torch.equal(means[0, 0, 0], image[0, 0, 0, ::8])


def test_dots_cost_their_deviation_from_the_other_phases() -> None:
    # In every block 8/9 of a dot remain of its pixel's detail, and -1/9 of the 8 around it; at
    # the picture's border means are of fewer pixels.
    detail = torch.zeros(16)
    detail[:8], detail[8] = -0.16 / 9, 0.16 * 8 / 9
    expected = sum(float((one - one.mean()).abs().mean()) for one in (detail, detail.abs()))
    assert float(grid_excess(dots(torch.ones(16, 16)), GREY)) == pytest.approx(expected, rel=2e-2)


def test_a_weave_with_the_trunk_s_pitch_shows_by_its_mean() -> None:
    # Dots of 4 px whose sign changes from one to the next: the pattern repeats after 8.
    assert float((phase_means(dots(chequered(1))) - 0.5).abs().max()) == pytest.approx(0.16)


def test_dots_of_changing_sign_show_by_their_strength() -> None:
    picture = dots(chequered(2))
    assert float((phase_means(picture) - 0.5).abs().max()) < 1e-6  # the phase term sees nothing
    assert float(grid_excess(picture, GREY)) > 0.01


@pytest.mark.parametrize("name", ["flat", "edge", "texture"])
def test_what_the_target_has_costs_nothing(name: str) -> None:
    pictures = {"flat": GREY, "edge": GREY.clone(), "texture": texture()}
    pictures["edge"][..., 30:] = 1.0
    target = pictures[name]
    assert float(grid_excess(target, target)) == 0
    assert float(grid_excess(GREY, target)) == 0  # nor does less of it
    assert float(grid_excess(target.lerp(GREY, 0.5), target)) == 0


def test_other_texture_costs_less_than_a_grid_as_strong() -> None:
    other = texture().flip(2)
    grid = GREY + 0.16 * F.interpolate(torch.ones(1, 3, 16, 16), scale_factor=4)
    grid[..., ::2, ::4] -= 0.32
    assert float(grid_excess(other, texture())) < 0.25 * float(grid_excess(grid, texture()))


def test_gradients_lead_away_from_the_grid() -> None:
    picture = dots(torch.ones(16, 16)).requires_grad_()
    grid_excess(picture, GREY).backward()
    assert picture.grad is not None
    assert bool((picture.grad[..., 1::4, 1::4] > 0).all())
