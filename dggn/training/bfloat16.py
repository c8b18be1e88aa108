"""Finds out whether bfloat16 is worth its name on a processor.

Processors without instructions for it (AMX, AVX512-BF16) imitate them, several times as slowly as
they compute float32. PyTorch has no public function that tells, and OpenVINO, which `dggn-run`
asks, need not be installed: so a convolution is timed.
"""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F

SLOW = "this processor computes bfloat16 several times as slowly as float32"
FASTER = "; start with --precision fp32 instead"
"""Remedy before the first step: later, a run keeps its settings."""

REPEATS = 8
SLOWER = 2.0
"""Factor from which on bfloat16 counts as slow: imitated, it takes at least three times as long,
and with AMX half as long or less."""


def is_bfloat16_slow(device: torch.device) -> bool:
    """Return whether a device computes bfloat16 more slowly than float32; always false on GPUs."""
    if device.type != "cpu":
        return False
    # In turn, so that other programs slow down both; the best time is the least disturbed.
    times = [[_convolution_s(bfloat16) for bfloat16 in (True, False)] for _ in range(REPEATS)]
    with_bfloat16, with_float32 = (min(one) for one in zip(*times, strict=True))
    return bool(with_bfloat16 > SLOWER * with_float32)


def _convolution_s(bfloat16: bool) -> float:
    """Return the time in seconds of a convolution, forward and backward."""
    images = torch.ones(1, 64, 48, 48)
    weights = torch.ones(64, 64, 3, 3, requires_grad=True)
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        F.conv2d(images, weights, padding=1).sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began
