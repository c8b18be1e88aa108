"""The base unit of both branches: multi-scale residual unit with squeeze-and-excitation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
"""Negative slope of LeakyReLU."""


class WindowedSqueezeExcitation(nn.Module):
    """Squeeze-and-excitation with the mean taken over a local window.

    SE's usual mean over the whole map makes a tile see other statistics than the picture it
    was cut from, which shows as a seam. Here every gate is the mean of a square window, on a
    grid fixed to the picture, and gates between grid points are interpolated bilinearly: what
    a pixel becomes depends on its surroundings only, in training, in tiles and in whole
    pictures alike (compare TLC: Chu et al., ECCV 2022).

    Args:
        channels: channels of the feature map.
        reduction: factor by which the hidden layer has fewer channels.
        window_px: side of the window; the grid has half its pitch.
    """

    def __init__(self, channels: int, reduction: int, window_px: int) -> None:
        super().__init__()
        self.window_px = window_px
        self.stride_px = window_px // 2
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Scale every channel by its local gate.

        Args:
            features: (N, channels, H, W) with H and W multiples of `window_px // 2`.

        Returns:
            (N, channels, H, W), the gated features.
        """
        means = F.avg_pool2d(
            features,
            self.window_px,
            stride=self.stride_px,
            padding=self.stride_px // 2,
            count_include_pad=False,
        )
        gates = torch.sigmoid(self.excite(F.relu(self.squeeze(means))))
        gates = F.interpolate(gates, scale_factor=float(self.stride_px), mode="bilinear")
        return features * gates


class MultiScaleResidualUnit(nn.Module):
    """The paper's improved multi-scale residual unit (Fig. 2).

    Four branches (3x3, 3x3, 5x5, 5x5), each with a 1x1 convolution before and after that
    keeps the channel count, LeakyReLU after every convolution, no batch norm; fused by a 1x1
    convolution, gated by SE, added to the input.

    The parameters of sibling branches lie in one tensor, and `grouped` chooses how they are
    applied. Grouped, the four branches are one wide convolution for each step, which is the
    fastest way for eager training on a CPU. Separate, every branch has convolutions of its own,
    which is what GPUs and inference engines have fast kernels for.

    Args:
        width: channels in and out.
        se_reduction: see `WindowedSqueezeExcitation`.
        se_window_px: see `WindowedSqueezeExcitation`.
    """

    def __init__(self, width: int, se_reduction: int, se_window_px: int) -> None:
        super().__init__()
        self.grouped = True
        self.enter = nn.Conv2d(width, 4 * width, 1)
        self.conv3x3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2)
        self.conv5x5 = nn.Conv2d(2 * width, 2 * width, 5, padding=2, groups=2)
        self.leave3x3 = nn.Conv2d(2 * width, 2 * width, 1, groups=2)
        self.leave5x5 = nn.Conv2d(2 * width, 2 * width, 1, groups=2)
        self.fuse = nn.Conv2d(4 * width, width, 1)
        self.se = WindowedSqueezeExcitation(width, se_reduction, se_window_px)

    def forward(self, features: Tensor) -> Tensor:
        """Refine trunk features.

        Args:
            features: (N, width, H, W).

        Returns:
            (N, width, H, W).
        """
        branches = self._grouped(features) if self.grouped else self._separate(features)
        fused: Tensor = self.se(self.fuse(torch.cat(branches, dim=1)))
        return features + fused

    def _grouped(self, features: Tensor) -> list[Tensor]:
        entered = F.leaky_relu(self.enter(features), LEAK).chunk(2, dim=1)
        return [
            F.leaky_relu(leave(F.leaky_relu(conv(one), LEAK)), LEAK)
            for one, (conv, leave) in zip(entered, self._pairs(), strict=True)
        ]

    def _separate(self, features: Tensor) -> list[Tensor]:
        enters = iter(_chunks(self.enter, 4))
        branches = []
        for conv, leave in self._pairs():
            padding = conv.padding
            for inner, outer in zip(_chunks(conv, 2), _chunks(leave, 2), strict=True):
                branch = F.leaky_relu(F.conv2d(features, *next(enters)), LEAK)
                branch = F.leaky_relu(F.conv2d(branch, *inner, padding=padding), LEAK)
                branches.append(F.leaky_relu(F.conv2d(branch, *outer), LEAK))
        return branches

    def _pairs(self) -> tuple[tuple[nn.Conv2d, nn.Conv2d], tuple[nn.Conv2d, nn.Conv2d]]:
        return (self.conv3x3, self.leave3x3), (self.conv5x5, self.leave5x5)


def _chunks(conv: nn.Conv2d, count: int) -> list[tuple[Tensor, Tensor]]:
    """Split a convolution's weights and biases into those of its side-by-side outputs."""
    assert conv.bias is not None
    return list(zip(conv.weight.chunk(count), conv.bias.chunk(count), strict=True))
