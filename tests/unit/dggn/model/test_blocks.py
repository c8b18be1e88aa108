from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor
from torch.nn import functional as F

from dggn.model.blocks import LEAK, MultiScaleResidualUnit, WindowedSqueezeExcitation


def _four_branches(unit: MultiScaleResidualUnit, features: Tensor) -> Tensor:
    """Compute the unit as in the paper's figure: branch after branch, one convolution at a time."""
    width = unit.fuse.out_channels
    branches = []
    for branch, (middle, leave) in enumerate(
        [
            (unit.conv3x3, unit.leave3x3),
            (unit.conv3x3, unit.leave3x3),
            (unit.conv5x5, unit.leave5x5),
            (unit.conv5x5, unit.leave5x5),
        ]
    ):
        entering = slice(branch * width, (branch + 1) * width)
        within = slice(branch % 2 * width, (branch % 2 + 1) * width)
        assert unit.enter.bias is not None
        assert middle.bias is not None
        assert leave.bias is not None
        values = F.conv2d(features, unit.enter.weight[entering], unit.enter.bias[entering])
        values = F.leaky_relu(values, LEAK)
        padding = middle.weight.shape[-1] // 2
        values = F.conv2d(values, middle.weight[within], middle.bias[within], padding=padding)
        values = F.leaky_relu(values, LEAK)
        values = F.conv2d(values, leave.weight[within], leave.bias[within])
        branches.append(F.leaky_relu(values, LEAK))
    gated: Tensor = unit.se(unit.fuse(torch.cat(branches, dim=1)))
    return features + gated


def test_both_forms_equal_four_branches() -> None:
    torch.manual_seed(0)
    unit = MultiScaleResidualUnit(width=8, se_reduction=2, se_window_px=8).double()
    features = torch.randn(2, 8, 12, 16, dtype=torch.float64)
    expected = _four_branches(unit, features)
    torch.testing.assert_close(unit(features), expected, rtol=1e-12, atol=1e-12)
    unit.grouped = False
    torch.testing.assert_close(unit(features), expected, rtol=1e-12, atol=1e-12)


def test_gradients_do_not_depend_on_the_form() -> None:
    torch.manual_seed(0)
    unit = MultiScaleResidualUnit(width=8, se_reduction=2, se_window_px=8).double()
    features = torch.randn(1, 8, 8, 8, dtype=torch.float64)
    found = []
    for grouped in (True, False):
        unit.grouped = grouped
        unit.zero_grad()
        unit(features).square().sum().backward()
        found.append([parameter.grad for parameter in unit.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_windowed_mean_by_hand() -> None:
    # Window 4, pitch 2: on 4x4 features the four windows reach one pixel beyond the border,
    # where nothing is counted, and so average 3x3 pixels each.
    torch.manual_seed(0)
    se = WindowedSqueezeExcitation(channels=2, reduction=2, window_px=4).double()
    features = torch.arange(32, dtype=torch.float64).view(1, 2, 4, 4)
    corners = {(0, 0): (0, 0), (0, 1): (0, 1), (1, 0): (1, 0), (1, 1): (1, 1)}
    means = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
    for (row, column), (top, left) in corners.items():
        means[..., row, column] = features[..., top : top + 3, left : left + 3].mean((-1, -2))
    gates = torch.sigmoid(se.excite(F.relu(se.squeeze(means))))
    output = se(features)
    # The corners lie outside the grid of centres: they take the nearest gate.
    torch.testing.assert_close(output[..., 0, 0], features[..., 0, 0] * gates[..., 0, 0])
    torch.testing.assert_close(output[..., 3, 3], features[..., 3, 3] * gates[..., 1, 1])
    # Pixel (0, 1) is a quarter of the way from the first centre to the second.
    quarter = 0.75 * gates[..., 0, 0] + 0.25 * gates[..., 0, 1]
    torch.testing.assert_close(output[..., 0, 1], features[..., 0, 1] * quarter)


def test_flat_features_get_the_gate_of_plain_squeeze_and_excitation() -> None:
    torch.manual_seed(0)
    se = WindowedSqueezeExcitation(channels=4, reduction=2, window_px=8)
    features = torch.randn(1, 4, 1, 1).expand(1, 4, 16, 24)
    plain = torch.sigmoid(se.excite(F.relu(se.squeeze(features.mean((-1, -2), keepdim=True)))))
    torch.testing.assert_close(se(features), features * plain)


def test_gates_depend_on_the_surroundings_only() -> None:
    torch.manual_seed(0)
    se = WindowedSqueezeExcitation(channels=4, reduction=2, window_px=8)
    features = torch.randn(1, 4, 16, 64)
    changed = features.clone()
    changed[..., 40:] += 5
    # A gate is interpolated from two centres, and each averages a window: less than 4 + 8 px.
    assert torch.equal(se(features)[..., :28], se(changed)[..., :28])
    assert not torch.equal(se(features)[..., :40], se(changed)[..., :40])


def test_a_tile_on_the_grid_equals_the_picture() -> None:
    torch.manual_seed(0)
    se = WindowedSqueezeExcitation(channels=4, reduction=2, window_px=8)
    features = torch.randn(1, 4, 16, 64)
    whole, tile = se(features), se(features[..., 16:48])
    torch.testing.assert_close(tile[..., 8:-8], whole[..., 24:40])
