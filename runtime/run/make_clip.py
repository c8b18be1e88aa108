"""Upscales a video into its file."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from runtime.codecs.encode import replacing_target
from runtime.errors import ImageReadError, TargetError
from runtime.jobs.ends import Source
from runtime.jobs.journal import Fingerprints
from runtime.report.progress import Watcher
from runtime.run.clip_frames import ClipMaker, FrameUpscaler
from runtime.run.clip_preview import ClipPreview
from runtime.run.record import Record
from runtime.run.work import Work
from runtime.video.mux import put_together
from runtime.video.readback import what_is_lost
from runtime.video.segments import SegmentStore
from runtime.video.settings import VideoSettings


def make_clip(
    work: Work,
    upscaler: FrameUpscaler,
    video: VideoSettings,
    *,
    source: Source,
    journal: Record,
    fingerprints: Fingerprints,
    progress: Watcher,
    previews: bool,
    memory_bytes: int,
    stop: threading.Event,
) -> None:
    """Upscale a video into its file, which appears once it is complete.

    Segments of an earlier run are used, and those of this one are kept if it is interrupted.

    Args:
        work: work item with the plan; receives notes, number of frames and time.
        upscaler: upscaler for the frames.
        video: settings for videos.
        source: where videos come from.
        journal: records started and finished results.
        fingerprints: fingerprints of model and settings.
        progress: receives the share of finished frames.
        previews: whether to make a preview for the report.
        memory_bytes: memory available for upscaled frames.
        stop: set to cancel.

    Raises:
        ImageError: the video is damaged, or its result cannot be written.
        TargetError: the folder cannot be written.
        BackendError: the inference library failed.
        Cancelled: someone asked to stop.
    """
    plan, job, stamp = work.clip, work.job, work.stamp
    assert plan is not None
    assert stamp is not None
    began = time.monotonic()
    fingerprint = fingerprints.of(job)
    expected = max(1, plan.clip.frames)
    progress.upscaling(job.name, plan.clip.shown_hw, plan.shown_hw, frames=expected)
    store = SegmentStore(job.target, plan.fingerprint(stamp, fingerprint))
    preview = ClipPreview(plan) if previews else None
    maker = ClipMaker(
        upscaler,
        plan,
        video,
        store,
        name=job.target.name,
        most_frames=plan.frames_at_once(memory_bytes),
        on_frame=lambda done: progress.upscaled(min(1.0, done / expected)),
        preview=preview,
        stop=stop,
    )
    work.notes += maker.run()
    work.frames = maker.frames
    try:
        unchanged = source.is_unchanged(job, stamp)
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error
    if not unchanged:
        raise ImageReadError("the file changed while it was read: run the command again")
    journal.begin(job, stamp, fingerprint)
    with replacing_target(job.target) as file:
        written = Path(file.name)
        muxed = put_together(plan.clip, plan.encoding, store, written, job.target)
        work.notes += muxed.notes
        work.notes += what_is_lost(
            plan.clip, plan.encoding, store, written, job.target.suffix, copied=muxed.copied
        )
    journal.finish(job, stamp, fingerprint)
    try:
        store.remove()
    except TargetError as error:
        work.notes.append(str(error))  # the result is complete
    work.preview = preview.preview if preview else None
    work.seconds += time.monotonic() - began
