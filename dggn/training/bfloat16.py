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

REPEATS = 3
SLOWER = 1.5
"""Factor from which on bfloat16 counts as slow: imitated, it takes at least three times as long."""


def is_bfloat16_slow(device: torch.device) -> bool:
    """Return whether a device computes bfloat16 more slowly than float32; always false on GPUs."""
    if device.type != "cpu":
        return False
    return _convolution_s(bfloat16=True) > SLOWER * _convolution_s(bfloat16=False)


def _convolution_s(*, bfloat16: bool) -> float:
    """Return the best time in seconds of a convolution, forward and backward."""
    images = torch.ones(1, 64, 48, 48)
    weights = torch.ones(64, 64, 3, 3, requires_grad=True)
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            F.conv2d(images, weights, padding=1).sum().backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - began)
    return min(times)
