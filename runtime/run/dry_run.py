"""`dggn-run --dry-run`: predicts the work and duration of a run, and writes nothing."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from runtime.backends.select import builds_first
from runtime.codecs.formats import check_size
from runtime.codecs.output import passes_for, target_size_hw
from runtime.codecs.png import write_png
from runtime.errors import ImageError, ImageReadError
from runtime.image.picture import Picture
from runtime.jobs.ends import Source
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints
from runtime.jobs.result import FileResult
from runtime.model.info import ModelInfo, gpu_default
from runtime.report.progress import Progress
from runtime.report.summary import Report
from runtime.run.batch import describe, sort_out
from runtime.run.clip_forecast import clip_s, frames_left
from runtime.run.clip_plan import ClipPlan, plan_clip
from runtime.run.in_strips import NOTE, check_strips
from runtime.run.options import Options, ends_of, open_upscaler, result_bytes
from runtime.run.pipeline import default_jobs
from runtime.run.route import Route
from runtime.run.second_pass import SECOND_PASS_NOTE
from runtime.run.stages import fed_headers
from runtime.run.workers import Facts
from runtime.tiles.stitch import plan_for
from runtime.upscaler import Upscaler
from runtime.video.formats import is_clip

FIRST_SIDE_PX = 64
"""Side of the first picture that is timed; a whole tile follows if that was fast."""

GPU_TILES = 5
"""Tiles per side of the picture timed on a GPU: several full batches."""

QUICK_S = 0.4
PIPELINE_OVERHEAD = 1.1
"""Ratio of a whole run to its bare inference; see tests/benchmarks/folder_throughput.py."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Measured time per pixel on this machine."""

    infer_s: float
    """Seconds per LR pixel fed to the network."""
    encode_s: float
    """Seconds per result pixel, in one thread."""


def dry_run(options: Options, progress: Progress) -> Report:
    """Predict what `Batch(options).run()` would do.

    Returns:
        A report in which pictures to upscale are `planned`; those whose headers cannot be read
        have failed already.

    Raises:
        DggnError: as the run itself.
    """
    report = Report()
    with ends_of(options) as ends, _open_without_building(options, progress) as upscaler:
        plan = report.plan = ends.plan
        fingerprints = describe(report, options, Facts.of(upscaler))
        with ends.open_ledger(read_only=True) as journal:
            todo, settled = sort_out(plan, journal, fingerprints, overwrite=options.overwrite)
        clips: list[tuple[ClipPlan, int]] = []
        planned = _planned(todo, ends.source, options, upscaler, fingerprints, clips)
        results = [*settled, *planned]
        for result in results:
            report.totals.add(result)
            report.files.append(result)
            progress.finished(result)
        sizes = [
            result.source_size_hw
            for result in results
            if result.status == "planned" and result.source_size_hw and not result.clip
            for _ in range(result.frames)
        ]
        scale = upscaler.info.scale
        fed = sizes + [
            (scale * size_hw[0], scale * size_hw[1])
            for size_hw in sizes
            if passes_for([size_hw], options.settings, scale) == 2
        ]
        target_px = 1e6 * sum(result.target_mp for result in results)
        of_clips_px = 1e6 * sum(result.target_mp for result in results if result.clip)
        seconds = 0.0
        if sizes or clips:
            why = f" ({upscaler.why})" if upscaler.why else ""
            progress.say(f"{upscaler.description}{why}: measuring its speed")
            speed = measure(upscaler)
            seconds = expected_s(
                fed,
                target_px - of_clips_px,
                speed,
                upscaler,
                jobs=options.jobs or default_jobs(on_gpu=upscaler.on_gpu),
            )
            seconds += sum(_clip_s(clip, frames, speed, upscaler) for clip, frames in clips)
    source_px = sum(height * width for height, width in sizes)
    source_px += sum(frames * math.prod(one.clip.size_hw) for one, frames in clips)
    report.estimate = {
        "source_megapixels": round(source_px / 1e6, 6),
        "output_megapixels": round(target_px / 1e6, 6),
        "seconds": round(seconds, 3),
    }
    return report


def _open_without_building(options: Options, progress: Progress) -> Upscaler:
    """Open what the run would compute with, but build no engine.

    Where the run would build one first, its default model is opened elsewhere, since another
    model's results would not count as done.
    """
    request, model = options.request, options.model
    if model is None and builds_first(request):
        model = gpu_default(request.precision, options.denoise)
    return open_upscaler(
        replace(options, model=model, request=replace(request, build=None)), progress
    )


def forecast(report: Report) -> str:
    """Return a dry run's human-readable result in one line."""
    estimate = report.estimate or {}
    line = report.totals.summary
    if report.totals.planned:
        line += (
            f": {estimate['source_megapixels']:.1f} megapixels in, "
            f"{estimate['output_megapixels']:.1f} out, "
            f"about {rough_duration(estimate['seconds'])} on this machine"
        )
    return line


def rough_duration(seconds: float) -> str:
    """Format a rough duration: `8 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def measure(upscaler: Upscaler, *, clock: Callable[[], float] = time.perf_counter) -> Speed:
    """Time upscaling and encoding of noise, the slowest content to encode."""
    side = min(FIRST_SIDE_PX, upscaler.tile_size)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    # The first inference allocates; it tells only whether a whole tile would take long.
    began = clock()
    upscaler.upscale_picture(Picture(rgb_hwc=noise))
    if clock() - began < QUICK_S:
        # A GPU takes several tiles at once.
        side = upscaler.tile_size * (GPU_TILES if upscaler.on_gpu else 1)
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    began = clock()
    result = upscaler.upscale_picture(Picture(rgb_hwc=noise))
    inferred = clock()
    write_png(result, [result], io.BytesIO(), {})
    encoded = clock()
    pixels = result.size_hw[0] * result.size_hw[1]
    fed_px = _fed_px((side, side), upscaler)
    return Speed(infer_s=(inferred - began) / fed_px, encode_s=(encoded - inferred) / pixels)


def expected_s(
    fed_hw: Iterable[tuple[int, int]],
    target_px: float,
    speed: Speed,
    upscaler: Upscaler,
    *,
    jobs: int,
) -> float:
    """Estimate a run's duration: its inference, or its encoding if that is slower.

    Args:
        fed_hw: sizes of all network inputs.
        target_px: total pixels of the results.
        speed: measured speed of this machine.
        upscaler: cuts the tiles.
        jobs: encoding threads.
    """
    fed_px = sum(_fed_px(size_hw, upscaler) for size_hw in fed_hw)
    return PIPELINE_OVERHEAD * max(fed_px * speed.infer_s, target_px * speed.encode_s / jobs)


def _fed_px(size_hw: tuple[int, int], upscaler: Upscaler) -> int:
    """Return the LR pixels fed to the network, counting overlaps each time."""
    plan = plan_for(
        size_hw, upscaler.backend, tile_size=upscaler.tile_size, overlap=upscaler.overlap
    )
    return len(plan) * plan.tile_hw[0] * plan.tile_hw[1]


def _clip_s(plan: ClipPlan, frames: int, speed: Speed, upscaler: Upscaler) -> float:
    height, width = plan.clip.size_hw
    fed_px = _fed_px((height, width), upscaler)
    if plan.passes == 2:
        scale = upscaler.info.scale
        fed_px += _fed_px((scale * height, scale * width), upscaler)
    return clip_s(plan, frames, fed_px, speed.infer_s, on_gpu=upscaler.on_gpu)


def _planned_clip(
    job: Job, options: Options, info: ModelInfo, settings: str
) -> tuple[FileResult, ClipPlan]:
    plan = plan_clip(
        job.source,
        job.target,
        options.settings,
        options.video,
        info,
        memory_bytes=result_bytes(options),
    )
    try:
        frames = frames_left(plan, job, settings)
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error
    done = plan.clip.frames - frames
    resumed = [f"resumes from frame {done}"] if done else []
    result = FileResult(
        name=job.name,
        status="planned",
        source_size_hw=plan.clip.shown_hw,
        target_size_hw=plan.shown_hw,
        target=job.shown_target,
        frames=frames,
        clip=plan.clip.description,
        notes=(*job.notes, *plan.notes, *resumed),
    )
    return result, plan


def _planned(
    jobs: Iterable[Job],
    source: Source,
    options: Options,
    upscaler: Upscaler,
    fingerprints: Fingerprints,
    clips: list[tuple[ClipPlan, int]],
) -> Iterable[FileResult]:
    """Predict the result of each job, and collect the plans of videos in `clips`."""
    scale = upscaler.info.scale
    settings = options.settings
    route = Route(upscaler.info, settings, whole_bytes=result_bytes(options))
    for job in jobs:
        try:
            if is_clip(job.source):
                with _at_hand(job, source):
                    result, plan = _planned_clip(job, options, upscaler.info, fingerprints.of(job))
                clips.append((plan, result.frames))
                yield result
                continue
            with _at_hand(job, source):
                header, frames, in_strips = route.foresee(job.source)
            target_hw = target_size_hw(header.size_hw, settings, scale)
            passes = passes_for([header.size_hw], settings, scale)
            check_size(target_hw, job.target)
            if in_strips:
                headers = fed_headers(header, scale, passes)
                check_strips(upscaler, headers, job.target, memory_bytes=route.memory_bytes)
        except ImageError as error:
            message = str(error).removeprefix(f"{job.source.name}: ")
            yield FileResult(name=job.name, status="failed", message=message)
        else:
            yield FileResult(
                name=job.name,
                status="planned",
                source_size_hw=header.size_hw,
                target_size_hw=target_hw,
                target=job.shown_target,
                frames=frames,
                notes=(
                    *job.notes,
                    *([SECOND_PASS_NOTE] if passes == 2 else []),
                    *([NOTE] if in_strips else []),
                ),
            )


@contextmanager
def _at_hand(job: Job, source: Source) -> Iterator[None]:
    """Fetch a source from its store for the length of a block; files are there anyway.

    Raises:
        ImageReadError: it cannot be read.
    """
    if not source.fetchers:
        yield
        return
    try:
        source.fetch(job, threading.Event())
        yield
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error
    finally:
        source.release(job)
