"""Makes taught sets in several processes, whose networks share one GPU.

Cutting and degrading a picture takes a tenth of a second of a processor core, and the teacher a
hundredth of a second of a GPU.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from dggn.data.taught import TeachOptions
from dggn.training.teach import Image8, read_sources, teach
from runtime.model.info import file_sha256
from tests.benchmarks.gpu.rrdb import RrdbNet, read_rrdb

CONTEXT_PX = 16
"""Reflected around a picture, so that the teacher sees no border."""

GRAPHICS = 0.06
MOST_PROCESSES = 1000
SCALE = 4


def make_sets(
    sources: Path,
    target: Path,
    teacher: Path,
    *,
    pairs: int,
    size_px: int,
    processes: int,
    seed: int,
    device: str,
) -> int:
    """Make as many sets as processes, each of its own seed.

    Args:
        sources: folder of photographs.
        target: folder of the sets.
        teacher: its weights, as `read_rrdb` takes them.
        pairs: least number of pairs in all.
        size_px: side of an LR picture.
        processes: how many.
        seed: sets of different seeds have no pair in common, whatever the number of processes.
        device: where the teacher is, as PyTorch names it.

    Returns:
        The number of pairs.
    """
    target.mkdir(parents=True, exist_ok=True)
    each = -(-pairs // processes)
    make = partial(_make_set, sources, target, teacher, each, size_px, device)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        first = seed * MOST_PROCESSES
        return sum(pool.map(make, range(first, first + processes)))


def _make_set(
    sources: Path, target: Path, teacher: Path, count: int, size_px: int, device: str, seed: int
) -> int:
    torch.set_num_threads(1)
    made = teach(
        read_sources(sources),
        target / f"seed-{seed}",
        TeachOptions(size_px=size_px, seed=seed, graphics=GRAPHICS),
        count,
        teacher=partial(enlarge, _placed(read_rrdb(teacher), device)),
        teacher_sha256=file_sha256(teacher),
        on_progress=lambda line, share: None,
    )
    return len(made.pairs)


def _placed(network: RrdbNet, device: str) -> RrdbNet:
    sample = torch.float32 if device == "cpu" else torch.float16
    placed: RrdbNet = network.to(device, sample, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


@torch.inference_mode()
def enlarge(network: RrdbNet, image_hwc: Image8) -> Image8:
    """Return the teacher's result, (4H, 4W, 3), for an (H, W, 3) picture."""
    first = next(network.parameters())
    image = torch.from_numpy(np.ascontiguousarray(image_hwc)).to(first.device)
    batch = image.permute(2, 0, 1)[None].to(first.dtype) / 255
    batch = F.pad(batch, (CONTEXT_PX,) * 4, mode="reflect")
    margin = SCALE * CONTEXT_PX
    result = network(batch)[0, :, margin:-margin, margin:-margin].float()
    levels = (255 * result).round().clamp(0, 255).to(torch.uint8)
    enlarged: Image8 = levels.permute(1, 2, 0).cpu().numpy()
    return enlarged
