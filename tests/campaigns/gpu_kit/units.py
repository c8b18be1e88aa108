"""A unit of the network in each of its forms, forward and backward: what training should use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch

from dggn.model.blocks import MultiScaleResidualUnit
from dggn.model.config import preset

SHAPES = ((32, 24), (64, 24), (128, 24), (4, 128), (8, 128))
"""Batch and side at the trunk: of training on crops of 48 px, and of tiles of 256 px."""


def rows(device: torch.device, *, tiny: bool, left_s: Callable[[], float]) -> Iterator[Any]:
    """Time the unit of the preset `dggn`.

    Args:
        device: where.
        tiny: small sizes, for a rehearsal.
        left_s: time left; ends the work.

    Yields:
        A row for each form, type, layout and shape: milliseconds forward, and with backward.
    """
    torch.backends.cudnn.benchmark = True
    config = preset("dggn-lite" if tiny else "dggn")
    for form, sample, layout, (batch, side) in product(
        ("separate", "grouped"),
        (torch.float32,) if tiny else (torch.bfloat16, torch.float16),
        ("NHWC", "NCHW"),
        ((1, 16),) if tiny else SHAPES,
    ):
        if left_s() < 0:
            return
        unit = MultiScaleResidualUnit(config.width, config.se_reduction, config.se_window_px)
        unit.grouped = form == "grouped"
        memory = torch.channels_last if layout == "NHWC" else torch.contiguous_format
        moved: Any = unit.to(device, sample, memory_format=memory)  # type: ignore[call-overload]
        image = torch.randn(batch, config.width, side, side, device=device, dtype=sample)
        image = image.to(memory_format=memory).requires_grad_()

        def forward(unit: Any = moved, image: torch.Tensor = image) -> None:
            with torch.no_grad():
                unit(image)

        def backward(unit: Any = moved, image: torch.Tensor = image) -> None:
            unit(image).square().mean().backward()

        yield {
            "form": form,
            "type": str(sample).removeprefix("torch."),
            "layout": layout,
            "shape": [batch, side],
            "forward_ms": round(_milliseconds(forward, device), 4),
            "step_ms": round(_milliseconds(backward, device), 4),
        }


def _milliseconds(work: Callable[[], None], device: torch.device) -> float:
    """Time of one call, as the device counts it."""
    import time

    for _ in range(3):
        work()
    count = 20 if device.type == "cuda" else 2
    if device.type != "cuda":
        begun = time.perf_counter()
        for _ in range(count):
            work()
        return 1000 * (time.perf_counter() - begun) / count
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(count):
        work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / count
