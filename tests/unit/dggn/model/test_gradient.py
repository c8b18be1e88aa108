from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from dggn.model.gradient import DELTA, GradientMagnitude


def _grey(rows: list[list[float]]) -> Tensor:
    """(1, 1, H, W)."""
    return torch.tensor(rows)[None, None]


def test_kernels_are_those_of_equation_5() -> None:
    operator = GradientMagnitude()
    for channel in range(3):
        assert operator.kernel_x[channel].tolist() == [[[1.0, 0.0, -1.0]]]
        assert operator.kernel_y[channel].tolist() == [[[1.0], [0.0], [-1.0]]]


def test_vertical_edge_by_hand() -> None:
    # Left neighbour minus right neighbour, the border replicated: 0-0, 0-1, 0-1, 1-1.
    image = _grey([[0, 0, 1, 1], [0, 0, 1, 1]])
    flat, edge = math.sqrt(DELTA), math.sqrt(1 + DELTA)
    expected = _grey([[flat, edge, edge, flat], [flat, edge, edge, flat]])
    torch.testing.assert_close(GradientMagnitude(1)(image), expected, rtol=0, atol=1e-7)


def test_single_pixel_and_borders_by_hand() -> None:
    # Along x each row gives (a-b, a-c, b-c), along y each column the same.
    #     0.2 0.4 0.9        x: -0.2 -0.7 -0.5     y: -0.3 -0.2  0.4
    #     0.5 0.6 0.5           -0.1  0.0  0.1        -0.8  0.4  0.6
    #     1.0 0.0 0.3            1.0  0.7 -0.3        -0.5  0.6  0.2
    image = _grey([[0.2, 0.4, 0.9], [0.5, 0.6, 0.5], [1.0, 0.0, 0.3]])
    squares = [
        [0.04 + 0.09, 0.49 + 0.04, 0.25 + 0.16],
        [0.01 + 0.64, 0.00 + 0.16, 0.01 + 0.36],
        [1.00 + 0.25, 0.49 + 0.36, 0.09 + 0.04],
    ]
    expected = _grey([[math.sqrt(square + 1e-6) for square in row] for row in squares])
    torch.testing.assert_close(GradientMagnitude(1)(image), expected, rtol=0, atol=1e-6)


def test_channels_do_not_mix() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[:, 1, :, 2:] = 1.0
    magnitude = GradientMagnitude()(image)
    assert magnitude[:, 1].max() > 0.9
    assert torch.equal(magnitude[:, [0, 2]], torch.full((1, 2, 4, 4), math.sqrt(DELTA)))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_smallest_pictures(size: tuple[int, int]) -> None:
    assert GradientMagnitude()(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_flat_picture_has_a_finite_derivative() -> None:
    image = torch.full((1, 3, 5, 5), 0.5, requires_grad=True)
    GradientMagnitude()(image).sum().backward()
    assert image.grad is not None
    assert torch.equal(image.grad, torch.zeros_like(image))


@pytest.mark.parametrize("size", [(1, 1), (6, 9), (48, 48)])
def test_both_ways_are_the_same_numbers(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size, requires_grad=True)
    operator = GradientMagnitude()
    subtracted = operator(image)
    (slope,) = torch.autograd.grad(subtracted.sum(), image)
    operator.convolved = True
    convolved = operator(image)
    assert torch.equal(convolved, subtracted)
    (other,) = torch.autograd.grad(convolved.sum(), image)
    torch.testing.assert_close(other, slope, rtol=0, atol=1e-5)


def test_is_computed_in_float32_under_autocast() -> None:
    image = torch.rand(1, 3, 8, 8)
    operator = GradientMagnitude()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(operator(image), operator(image.clone()))
        low = operator(image.bfloat16())
    assert low.dtype == torch.float32
    assert torch.equal(operator(image), operator(image.double()))


def test_has_nothing_to_train() -> None:
    assert list(GradientMagnitude().parameters()) == []
