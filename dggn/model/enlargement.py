"""Fixed convolutions at LR resolution: the enlargement that detail is added to, and its colours."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.model.config import COLOUR_WINDOW_PX, SCALE


class Enlargement(nn.Module):
    """Bilinear x4 enlargement, as a fixed 3x3 convolution at LR resolution.

    Every HR pixel is a weighted mean of the LR pixels around it, with weights that depend on
    its place within its LR pixel alone: channel (c * 4 + y) * 4 + x holds pixel (y, x) of colour c.
    A 4x pixel-shuffle then gives what `interpolate(mode="bilinear")` does, to float32 rounding.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Half-pixel centres: an HR pixel's centre lies this far from its LR pixel's.
        offsets = (torch.arange(SCALE) + 0.5) / SCALE - 0.5
        weights = torch.stack([(-offsets).clamp(min=0), 1 - offsets.abs(), offsets.clamp(min=0)], 1)
        outer = torch.einsum("yi,xj->yxij", weights, weights).reshape(SCALE**2, 3, 3)
        kernel = torch.einsum("cd,pij->cpdij", torch.eye(3), outer).reshape(-1, 3, 3, 3)
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, image_nchw: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 48, H, W), in float32 regardless of autocast."""
        with torch.autocast(image_nchw.device.type, enabled=False):
            padded = F.pad(image_nchw.float(), (1, 1, 1, 1), mode="replicate")
            return F.conv2d(padded, self.kernel)


class ColourKeeping(nn.Module):
    """Finds the colours that a network's detail shifts.

    Reduced by 4x4 means, a result should look like its LR picture. Networks that learn from a GAN
    shift large areas by some levels, as their teacher does. What is missing, averaged over
    `COLOUR_WINDOW_PX`, is enlarged and added: local means are then the picture's own, and texture
    finer than the window stays. In the terms of super-resolution, one
    step of back-projection (Irani and Peleg, 1991) of the low frequencies alone.
    """

    removed: Tensor
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Means of 4x4 pixels of the bilinear enlargement: a separable kernel at LR resolution.
        row = torch.tensor([0.125, 0.75, 0.125])
        removed = -torch.outer(row, row)
        removed[1, 1] += 1
        self.register_buffer("removed", _for_each_colour(removed), persistent=False)
        # Detail has its 16 phases in channels, colour by colour.
        mean = torch.eye(3).repeat_interleave(SCALE**2, dim=1) / SCALE**2
        self.register_buffer("mean", mean[:, :, None, None], persistent=False)

    def forward(self, image_nchw: Tensor, detail: Tensor) -> Tensor:
        """Return what to enlarge and add, in float32 regardless of autocast.

        It is small, so that lower precisions round it less than the picture itself.

        Args:
            image_nchw: the LR picture, (N, 3, H, W).
            detail: added to its enlargement before the pixel shuffle, (N, 48, H, W).

        Returns:
            (N, 3, H, W).
        """
        with torch.autocast(image_nchw.device.type, enabled=False):
            padded = F.pad(image_nchw.float(), (1, 1, 1, 1), mode="replicate")
            missing = F.conv2d(padded, self.removed) - F.conv2d(detail.float(), self.mean)
            margin = COLOUR_WINDOW_PX // 2
            return F.avg_pool2d(
                missing, COLOUR_WINDOW_PX, stride=1, padding=margin, count_include_pad=False
            )


def _for_each_colour(kernel: Tensor) -> Tensor:
    """Repeat a 2-D kernel for three colours, without groups: (3, 3, rows, columns)."""
    return torch.einsum("cd,yx->cdyx", torch.eye(3), kernel)
