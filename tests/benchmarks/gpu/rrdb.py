"""ESRGAN's generator (Wang et al., 2018): 23 residual-in-residual dense blocks, for comparison."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
SCALING = 0.2

BASICSR = {
    "head": "conv_first",
    "join": "conv_body",
    "up1": "conv_up1",
    "up2": "conv_up2",
    "last": "conv_hr",
    "tail": "conv_last",
}
"""Names in BasicSR and Real-ESRGAN of the convolutions around the blocks."""


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the outputs of all before it.

    Args:
        width: channels in and out.
        growth: channels that a convolution adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        outputs = (growth, growth, growth, growth, width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width + number * growth, out, 3, padding=1)
            for number, out in enumerate(outputs)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        *inner, last = self.convolutions
        seen = features
        for convolution in inner:
            seen = torch.cat((seen, F.leaky_relu(convolution(seen), LEAK)), dim=1)
        result: Tensor = features + SCALING * last(seen)
        return result


class ResidualBlocks(nn.Module):
    """Three dense blocks and a residual around them.

    Args:
        width: channels in and out.
        growth: of the dense blocks.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(width, growth) for _ in range(3)))

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) to the same."""
        result: Tensor = features + SCALING * self.blocks(features)
        return result


class RrdbNet(nn.Module):
    """The whole generator, x4; 16.7 M parameters with the published sizes.

    Args:
        width: channels of the trunk.
        blocks: how many residual-in-residual dense blocks.
        growth: of the dense blocks.
    """

    def __init__(self, width: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlocks(width, growth) for _ in range(blocks)))
        self.join = nn.Conv2d(width, width, 3, padding=1)
        self.up1, self.up2, self.last = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.tail = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 3, 4H, 4W)."""
        first = self.head(image)
        features = first + self.join(self.body(first))
        for convolution in (self.up1, self.up2):
            features = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = F.leaky_relu(convolution(features), LEAK)
        result: Tensor = self.tail(F.leaky_relu(self.last(features), LEAK))
        return result


def read_rrdb(weights: Path) -> RrdbNet:
    """The generator with published weights, of any size.

    Args:
        weights: a safetensors file with BasicSR's names, as of Real-ESRGAN x4plus.
    """
    published = load_file(weights)
    width, growth = (len(published[f"{name}.bias"]) for name in ("conv_first", "body.0.rdb1.conv1"))
    blocks = 1 + max(int(name.split(".")[1]) for name in published if name.startswith("body."))
    network = RrdbNet(width, blocks, growth)
    network.load_state_dict(
        {name: published[published_name(name)] for name in network.state_dict()}
    )
    return network.eval()


def published_name(name: str) -> str:
    """BasicSR's name of a parameter."""
    match name.split("."):
        case ["body", block, "blocks", dense, "convolutions", convolution, kind]:
            return f"body.{block}.rdb{int(dense) + 1}.conv{int(convolution) + 1}.{kind}"
        case [part, kind]:
            return f"{BASICSR[part]}.{kind}"
        case _:
            raise AssertionError(name)
