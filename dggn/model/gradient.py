"""The fixed gradient operator of the paper (Eq. 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DELTA = 1e-6
"""Offset that keeps the square root's derivative finite in flat areas (as in SPSR)."""


class GradientMagnitude(nn.Module):
    """Magnitude of the image gradient for each colour channel (Eq. 4 and 5).

    `sqrt((A * S)^2 + (A^T * S)^2 + DELTA)` with A = [1, 0, -1]. The kernels are buffers:
    they move with the module and are never trained. Borders are replicated, so that a
    picture's edge is not an edge in the picture.

    `convolved` chooses how the differences are taken; both ways give the same numbers. Subtracting
    shifted pictures is exact on every device, where a convolution on CUDA may round its
    input to TF32. Inference engines have no use for slices, which copy what they cut: for them it
    is a convolution over all channels, without groups.

    Args:
        channels: colour channels of the image.
    """

    kernel_x: Tensor
    kernel_y: Tensor
    plain_x: Tensor
    plain_y: Tensor

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.convolved = False
        kernel = torch.tensor([1.0, 0.0, -1.0])
        own_channel = torch.eye(channels)[:, :, None, None]
        for axis, one in (("x", kernel.view(1, 1, 1, 3)), ("y", kernel.view(1, 1, 3, 1))):
            self.register_buffer(f"kernel_{axis}", one.repeat(channels, 1, 1, 1))
            # No file holds these: they follow from the others.
            self.register_buffer(f"plain_{axis}", own_channel * one, persistent=False)

    def forward(self, image_nchw: Tensor) -> Tensor:
        """Compute the gradient magnitude of a batch of images.

        Computed in float32 whatever the input's type: one grey level squared is 2e-7 of the
        squared range, which is no longer a normal number in float16.

        Args:
            image_nchw: (N, channels, H, W), floating, RGB in [0, 1].

        Returns:
            (N, channels, H, W), float32, in [sqrt(DELTA), sqrt(2 + DELTA)].
        """
        image = image_nchw.float()
        with torch.autocast(image.device.type, enabled=False):
            padded_x = F.pad(image, (1, 1, 0, 0), mode="replicate")
            padded_y = F.pad(image, (0, 0, 1, 1), mode="replicate")
            if self.convolved:
                along_x = F.conv2d(padded_x, self.plain_x)
                along_y = F.conv2d(padded_y, self.plain_y)
            else:
                along_x = padded_x[..., :-2] - padded_x[..., 2:]
                along_y = padded_y[..., :-2, :] - padded_y[..., 2:, :]
            return torch.sqrt(along_x * along_x + along_y * along_y + DELTA)
