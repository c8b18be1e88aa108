"""The critic of Fig. 3, which scores how real a picture or its gradient magnitude looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.model.blocks import LEAK

SMALLEST_SIDE_PX = 4
"""Largest final side: convolutions halve the picture until it is no larger."""

LARGEST_FACTOR = 8
"""Ratio of the widest convolution's channels to the first one's."""

HIDDEN = 100
"""Number of features before the score."""


class Discriminator(nn.Module):
    """VGG-like critic: pairs of a 3x3 and a 4x4 stride-2 convolution, then two linear layers.

    No batch norm, which would mix the samples whose gradients WGAN-GP bounds one by one, and
    no sigmoid: the score is any number (Section 3.2). A side of 192 px is halved six times,
    to 3 px, with widths 64, 128, 256, 512, 512, 512.

    Args:
        size_px: height and width of its input.
        width: channels of the first pair.
    """

    def __init__(self, size_px: int = 192, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        side, before, after = size_px, 3, width
        while side > SMALLEST_SIDE_PX:
            layers.append(nn.Conv2d(before, after, 3, padding=1))
            layers.append(nn.Conv2d(after, after, 4, stride=2, padding=1))
            side //= 2
            before, after = after, min(2 * after, LARGEST_FACTOR * width)
        self.size_px = size_px
        self.features = nn.ModuleList(layers)
        self.hidden = nn.Linear(before * side * side, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1)

    def forward(self, image_nchw: Tensor) -> Tensor:
        """Score a batch.

        Args:
            image_nchw: (N, 3, size_px, size_px), pictures or gradient magnitudes, in [0, 1].

        Returns:
            (N,), float32: the higher, the more real.
        """
        features = image_nchw
        for layer in self.features:
            features = F.leaky_relu(layer(features), LEAK)
        # bfloat16 tells scores of a few tens apart by quarters: too coarse for their difference.
        with torch.autocast(features.device.type, enabled=False):
            hidden = F.leaky_relu(self.hidden(torch.flatten(features.float(), 1)), LEAK)
            score: Tensor = self.score(hidden)
        return score.squeeze(1)
