"""Untrained generators whose output shows whether the network was computed."""

from __future__ import annotations

from torch import nn

from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator


def untrained(config: GeneratorConfig) -> Generator:
    """Return a generator of random weights.

    Its last convolution would be zero, and hide everything but the bilinear skip.

    Args:
        config: its structure.
    """
    generator = Generator(config).eval()
    nn.init.normal_(generator.image_tail.last.weight, std=0.01)
    return generator
