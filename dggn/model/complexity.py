"""What a generator costs: parameters and operations, counted from the real modules."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from dggn.model.generator import Generator


def parameter_count(generator: Generator) -> int:
    """Trained parameters of the whole generator, the tail that only training uses included."""
    return sum(parameter.numel() for parameter in generator.parameters())


def flops(generator: Generator, height: int, width: int) -> int:
    """Floating-point operations to super-resolve one LR picture.

    The convention of the paper's Table 4: two for each multiply-accumulate of a convolution,
    on a 50x50 LR patch; everything else is left out. What only training uses (the prediction
    of the gradient) is not counted.

    Every convolution's work is proportional to the area, so it is counted on the smallest
    picture that the generator takes and scaled: the padding that a real picture of another
    size needs is not part of the convention.

    Args:
        generator: the network, on the CPU.
        height: of the LR picture, any.
        width: of the LR picture, any.
    """
    side = generator.config.size_multiple_px
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, 3, side, side))
    counted: int = counter.get_total_flops()
    return round(counted * height * width / side**2)
