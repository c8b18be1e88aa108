"""Estimates the time that a video takes, for `dggn-run --dry-run`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from runtime.jobs.job import Job
from runtime.jobs.stamp import SourceStamp
from runtime.run.clip_plan import ClipPlan
from runtime.video.encoding import Encoding
from runtime.video.segment_encoder import SegmentEncoder
from runtime.video.segments import SegmentStore

SIDE_PX = 512
FRAMES = 8
"""Size and number of the frames that are encoded as a measurement."""

GRAIN_PX = 8
"""Pixels between the points of the encoded noise, for about the detail of photographs."""


def frames_left(plan: ClipPlan, job: Job, settings: str) -> int:
    """Estimate how many frames an earlier run has left.

    Args:
        plan: plan of the video.
        job: source and target.
        settings: fingerprint of model and settings.

    Raises:
        OSError: the source cannot be read.
    """
    fingerprint = plan.fingerprint(SourceStamp.of(job.source), settings)
    store = SegmentStore(job.target, fingerprint, read_only=True)
    return max(1, plan.clip.frames - store.frames)


def encode_s(encoding: Encoding, *, clock: Callable[[], float] = time.perf_counter) -> float:
    """Measure the encoding time in seconds per pixel, with moving noise.

    Raises:
        ImageWriteError: the encoder failed.
    """
    height, width = (min(SIDE_PX, size) for size in encoding.size_hw)
    grain = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    noise = np.asarray(Image.fromarray(grain).resize((64 * GRAIN_PX, 64 * GRAIN_PX)))
    encoder = SegmentEncoder(replace(encoding, size_hw=(height, width)), "measurement")
    began = clock()
    for number in range(FRAMES):
        moved = np.roll(noise, (number, 2 * number), (0, 1))
        encoder.add(np.ascontiguousarray(moved[:height, :width]), number, 1)
    encoder.finish()
    return (clock() - began) / (FRAMES * height * width)


def clip_s(plan: ClipPlan, frames: int, fed_px: float, infer_s: float, *, on_gpu: bool) -> float:
    """Estimate the time of a video in seconds.

    Args:
        plan: plan of the video.
        frames: number of frames to compute.
        fed_px: LR pixels fed to the network per frame.
        infer_s: seconds per LR pixel.
        on_gpu: whether encoding runs in parallel with inference.
    """
    height, width = plan.encoding.size_hw
    infer = frames * fed_px * infer_s
    encode = frames * height * width * encode_s(plan.encoding)
    return max(infer, encode) if on_gpu else infer + encode
