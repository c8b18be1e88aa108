"""Compares the 64 phases of enlarged pictures: a pixel's phase is its place in its block of 8x8.

Such a block is one pixel of the trunk. Pixel shuffles compute each phase with weights of its own,
so nothing but the loss keeps them alike. A perceptual network rewards texture, and the cheapest
texture is the same pattern in every block: a grid or weave of 4 or 8 pixels, which the network
itself hardly tells from leaves or gravel.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from dggn.model.config import SCALE, TRUNK_STRIDE

BLOCK_PX = SCALE * TRUNK_STRIDE
"""Side of a block: patterns repeat with it, or with a part of it."""

WINDOW_BLOCKS = 8
"""Side of the windows that the means of phases are taken over: large enough for texture to average
out, small enough to follow shading."""


def phase_means(image: Tensor) -> Tensor:
    """Return the local mean of each phase.

    Args:
        image: (N, C, 8H, 8W).

    Returns:
        (N, 64 C, h, w), of overlapping windows of `WINDOW_BLOCKS`, or of all where the picture is
        smaller.
    """
    phases = F.pixel_unshuffle(image, BLOCK_PX)
    window = min(WINDOW_BLOCKS, *phases.shape[-2:])
    return F.avg_pool2d(phases, window, stride=max(1, window // 2))


def grid_excess(image: Tensor, target: Tensor) -> Tensor:
    """Return by how much the detail of phases differs more than in the target.

    Detail is what a pixel has beyond the mean of the 3x3 around it. Its local mean shows patterns
    that are the same in every block, and the local mean of its strength those whose sign changes
    from block to block. Differences as large as the target's cost nothing: edges have them, and
    texture has them by chance.

    Args:
        image: (N, C, 8H, 8W).
        target: same shape.

    Returns:
        A scalar in the pictures' units, 0 where no phase stands out more than in the target.
    """
    found, expected = _detail(image), _detail(target)
    by_mean = F.relu(_differences(found) - _differences(expected)).mean()
    by_strength = F.relu(_differences(found.abs()) - _differences(expected.abs())).mean()
    return by_mean + by_strength


def _detail(image: Tensor) -> Tensor:
    return image - F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)


def _differences(image: Tensor) -> Tensor:
    """Return how far each phase's local mean is from that of all phases."""
    means = phase_means(image)
    means = means.view(len(image), -1, BLOCK_PX**2, *means.shape[-2:])
    return (means - means.mean(dim=2, keepdim=True)).abs()
