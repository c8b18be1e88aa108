from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
from torch import Tensor, nn

from dggn.onnx_graph.weight_storage import rounded
from export.compensate import compensate
from runtime.errors import ModelError


def smooth_pictures() -> Tensor:
    """Neighbouring pixels and channels agree, as in photographs: errors can be made up for."""
    torch.manual_seed(0)
    coarse = torch.rand(4, 16, 6, 6)
    return nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")


@pytest.mark.parametrize("groups", [1, 2])
def test_results_change_less_than_by_rounding_to_the_nearest(groups: int) -> None:
    pictures = smooth_pictures()
    conv = nn.Conv2d(16, 8, 4, padding=1, groups=groups)
    with torch.no_grad():
        expected = conv(pictures)
        weight = conv.weight.clone()
        conv.weight.copy_(torch.from_numpy(rounded(weight.numpy(), "int4")))
        nearest = (conv(pictures) - expected).square().mean()
        conv.weight.copy_(weight)
        compensate(conv, pictures)
        compensated = (conv(pictures) - expected).square().mean()
    assert compensated < nearest / 4
    stored = conv.weight.detach().numpy()
    np.testing.assert_array_equal(rounded(stored, "int4"), stored)


def test_a_layer_sees_what_the_rounded_ones_before_it_give() -> None:
    pictures = smooth_pictures()
    first, second = nn.Conv2d(16, 32, 4), nn.Conv2d(32, 8, 3)
    before = second.weight.detach().clone()
    compensate(nn.Sequential(first, second), pictures)
    after_rounded_first = second.weight.detach().clone()
    with torch.no_grad():
        second.weight.copy_(before)
        compensate(second, first(pictures))
    assert torch.equal(second.weight, after_rounded_first)


def test_other_layers_stay_and_nothing_is_left_behind() -> None:
    network = nn.Sequential(nn.Conv2d(16, 5, 3), nn.Conv2d(5, 8, 1))
    before = [parameter.clone() for parameter in network.parameters()]
    compensate(network, smooth_pictures())
    assert all(torch.equal(one, two) for one, two in zip(network.parameters(), before, strict=True))
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_weights_that_are_not_finite() -> None:
    conv = nn.Conv2d(32, 4, 1)
    with torch.no_grad():
        conv.weight[0] = float("nan")
    with pytest.raises(ModelError, match="weight is not finite"):
        compensate(conv, torch.zeros(1, 32, 8, 8))


@pytest.mark.parametrize("options", [{"padding": "valid"}, {"dilation": 2}, {"stride": 2}])
def test_other_kinds_of_convolutions(options: dict[str, Any]) -> None:
    pictures = smooth_pictures()
    conv = nn.Conv2d(16, 8, 4, **options)
    with torch.no_grad():
        expected = conv(pictures)
        nearest = torch.from_numpy(rounded(conv.weight.numpy(), "int4"))
        by_nearest = nn.functional.conv2d(
            pictures, nearest, conv.bias, conv.stride, conv.padding, conv.dilation
        )
        compensate(conv, pictures)
        lost = (conv(pictures) - expected).square().mean()
    assert lost < (by_nearest - expected).square().mean() / 4


def test_a_layer_that_sees_nothing_is_rounded_to_the_nearest() -> None:
    conv = nn.Conv2d(32, 4, 1)
    expected = rounded(conv.weight.detach().numpy().copy(), "int4")
    compensate(conv, torch.zeros(1, 32, 8, 8))
    np.testing.assert_array_equal(conv.weight.detach().numpy(), expected)
