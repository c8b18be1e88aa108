"""Costs of a network, computed from the real modules: parameters, operations, receptive field."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dggn.model.blocks import MultiScaleResidualUnit
from dggn.model.community import CommunityModel
from dggn.model.config import SCALE, GeneratorConfig
from dggn.model.generator import Generator


def parameter_count(generator: Generator | CommunityModel) -> int:
    """Count the trained parameters of the whole network, including a training-only tail."""
    return sum(parameter.numel() for parameter in generator.parameters())


def flops(generator: Generator | CommunityModel, height: int, width: int) -> int:
    """Count the floating-point operations for one LR picture.

    The convention of the paper's Table 4: two for each multiply-accumulate of a convolution
    or matrix product, on a 50x50 LR patch; everything else is left out. What only training
    uses (the prediction of the gradient) is not counted.

    Every convolution's work is proportional to the area, so it is counted on a small picture
    that the network takes and scaled: the padding that a real picture of another size needs is
    not part of the convention.

    Args:
        generator: the network, on the CPU.
        height: height of the LR picture, any.
        width: width of the LR picture, any.
    """
    multiple = generator.config.size_multiple_px
    # Other architectures may pool to a few numbers or pad by reflection: not too small a picture.
    side = multiple if isinstance(generator, Generator) else -(-32 // multiple) * multiple
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, 3, side, side))
    counted: int = counter.get_total_flops()
    return round(counted * height * width / side**2)


@torch.no_grad()
def receptive_field_px(config: GeneratorConfig, *, squeeze_excitation: bool) -> int:
    """Return the receptive field in LR pixels along an axis.

    Found by marking: the network is run on a strip with one column made NaN, and every result
    that depends on the column, by whatever path, is NaN. How many channels there are makes no
    difference, so a copy with few is run.

    Args:
        config: the structure.
        squeeze_excitation: whether the dependence through SE's windows counts, or that through
            convolutions alone.
    """
    thin = replace(config, width=4, se_reduction=1, tail_width=1)
    generator = Generator(thin).eval()
    if not squeeze_excitation:
        for module in list(generator.modules()):
            if isinstance(module, MultiScaleResidualUnit):
                module.se = nn.Identity()  # type: ignore[assignment]
    multiple = config.size_multiple_px
    periods = 16
    while (reaches := _reaches(generator, multiple, periods)) is None:
        periods *= 2
    # Column x + k * multiple reaches what column x reaches, k * multiple columns further on.
    extents = []
    for pixel in range(multiple * SCALE):
        seen = [
            column + shift * multiple
            for column, (first, last) in enumerate(reaches)
            for shift in range(-periods, periods + 1)
            if first <= pixel - shift * multiple * SCALE <= last
        ]
        extents.append(max(seen) - min(seen) + 1)
    return max(extents)


def _reaches(generator: Generator, multiple: int, periods: int) -> list[tuple[int, int]] | None:
    """Return the first and last HR column that each column of a period reaches, None at the edge.

    HR columns are counted from that of the period's first column.
    """
    centre = periods // 2 * multiple
    strips = torch.rand(multiple, 3, multiple, periods * multiple)
    for column in range(multiple):
        strips[column, :, :, centre + column] = torch.nan
    marked = generator(strips).isnan().flatten(1, 2).any(dim=1)
    if marked[:, 0].any() or marked[:, -1].any():
        return None
    reaches = []
    for row in marked:
        columns = row.nonzero().flatten() - centre * SCALE
        reaches.append((int(columns[0]), int(columns[-1])))
    return reaches
