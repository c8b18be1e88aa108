"""The stages of one picture, run by `runtime.run.pipeline`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from runtime.codecs.encode import encode
from runtime.codecs.formats import check_size
from runtime.codecs.frames import all_frames
from runtime.codecs.output import OutputSettings, fit, passes_for, target_size_hw
from runtime.errors import Cancelled, ImageReadError
from runtime.image.picture import Picture
from runtime.image.strip_source import StripReader, strips_of
from runtime.jobs.ends import Source
from runtime.jobs.journal import Fingerprints
from runtime.model.info import ModelInfo
from runtime.report.preview import BLOCK_PX, After, Before
from runtime.report.progress import Watcher
from runtime.run.clip_frames import FrameUpscaler
from runtime.run.clip_plan import plan_clip
from runtime.run.in_strips import check_strips, write_in_strips
from runtime.run.make_clip import make_clip
from runtime.run.record import Record
from runtime.run.route import Route
from runtime.run.second_pass import (
    SECOND_PASS_NOTE,
    EnlargedReader,
    enlarged_header,
    two_pass_progress,
)
from runtime.run.work import Work
from runtime.tiles.stitch import OnTile
from runtime.video.formats import is_clip
from runtime.video.settings import VideoSettings


class PictureUpscaler(FrameUpscaler, Protocol):
    """The part of `Upscaler` that the pipeline uses."""

    info: ModelInfo

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """Yield the rows of a result too large for memory; see `Upscaler.strips`."""

    def strip_bytes(self, header: Picture) -> int:
        """Return the size of the largest of `strips` in bytes."""

    def cancel(self) -> None:
        """Make the running call and all later ones raise `Cancelled`."""


class Stages:
    """The stages from a file to its result.

    Each raises `ImageError` where the picture is at fault, and `Cancelled` after a stop.

    Args:
        upscaler: `infer` and `make_in_strips` are called from one thread only.
        settings: output settings.
        route: opens sources.
        source: where they come from.
        journal: records started and finished results.
        fingerprints: fingerprints of model and settings, for the journal.
        video: settings for videos.
        progress: receives the picture being upscaled.
        previews: make small before and after pictures of every result.
        stop: set to give up.
    """

    def __init__(
        self,
        upscaler: PictureUpscaler,
        settings: OutputSettings,
        *,
        route: Route,
        source: Source,
        journal: Record,
        fingerprints: Fingerprints,
        video: VideoSettings,
        progress: Watcher,
        previews: bool,
        stop: threading.Event,
    ) -> None:
        self._upscaler = upscaler
        self._settings = settings
        self._route = route
        self._source = source
        self._journal = journal
        self._fingerprints = fingerprints
        self._video = video
        self._progress = progress
        self._previews = previews
        self._stop = stop

    def fetch(self, work: Work) -> None:
        """Fetch the source if necessary."""
        with _readable():
            work.stamp = self._source.fetch(work.job, self._stop)

    def decode(self, work: Work) -> None:
        """Open the source, and refuse it if the result could not be written."""
        assert work.stamp is not None
        source = work.job.source
        with _readable():
            with work.timed():
                opened = None if is_clip(source) else self._route.open(source)
            unchanged = self._source.is_unchanged(work.job, work.stamp)
        if not unchanged:
            raise ImageReadError("the file changed while it was read: run the command again")
        if opened is None:
            self._look_at_clip(work)
            return
        seen = work.see(opened)
        scale = self._upscaler.info.scale
        work.source_size_hw = seen.size_hw
        work.target_size_hw = target_size_hw(work.source_size_hw, self._settings, scale)
        # Rather now than after upscaling.
        for page in all_frames(seen):
            check_size(target_size_hw(page.size_hw, self._settings, scale), work.job.target)
        work.frames = 1 + len(seen.more)
        work.passes = passes_for([page.size_hw for page in all_frames(seen)], self._settings, scale)
        work.notes += [*seen.notes, *([SECOND_PASS_NOTE] if work.passes == 2 else [])]
        if work.reader:
            work.large_bytes = check_strips(
                self._upscaler,
                fed_headers(seen, scale, work.passes),
                work.job.target,
                memory_bytes=self._route.memory_bytes,
            )
            return
        work.large_bytes = seen.nbytes * scale ** (2 * work.passes)
        if self._previews:
            work.before = Before.of(seen, work.target_size_hw)

    def _look_at_clip(self, work: Work) -> None:
        with work.timed():
            plan = work.clip = plan_clip(
                work.job.source,
                work.job.target,
                self._settings,
                self._video,
                self._upscaler.info,
                memory_bytes=self._route.whole_bytes,
            )
        work.source_size_hw, work.target_size_hw = plan.clip.shown_hw, plan.shown_hw
        work.frames, work.passes = max(1, plan.clip.frames), plan.passes
        work.notes += plan.notes
        work.large_bytes = plan.frame_bytes * plan.frames_at_once(self._route.whole_bytes)

    def make_clip(self, work: Work) -> None:
        """Upscale and write a video, once it has been inspected."""
        self._upscaler.finish()  # tiles that wait for a full batch would wait long
        make_clip(
            work,
            self._upscaler,
            self._video,
            source=self._source,
            journal=self._journal,
            fingerprints=self._fingerprints,
            progress=self._progress,
            previews=self._previews,
            memory_bytes=self._route.whole_bytes,
            stop=self._stop,
        )

    def infer(self, work: Work, pass_on: Callable[[Work], None]) -> None:
        """Upscale a decoded picture, now or later, then pass it on from any thread."""
        assert work.picture is not None
        assert work.source_size_hw is not None
        assert work.target_size_hw is not None
        self._progress.upscaling(work.job.name, work.source_size_hw, work.target_size_hw)
        began = time.monotonic()
        picture = work.picture
        on_tile: OnTile = self._progress.upscaled
        if work.passes == 2:
            first, on_tile = two_pass_progress(on_tile, self._upscaler.info.scale)
            picture = self._upscaler.upscale_picture(picture, on_tile=first)

        def done(picture: Picture) -> None:
            work.picture = picture
            work.seconds += time.monotonic() - began
            pass_on(work)

        # From here on the work belongs to whoever completes it.
        self._upscaler.submit_picture(picture, done, on_tile=on_tile)

    def make_in_strips(self, work: Work) -> None:
        """Finish a picture whose result is too large for memory."""
        assert work.reader is not None
        assert work.source_size_hw is not None
        assert work.stamp is not None
        self._upscaler.finish()  # tiles that wait for a full batch would wait long
        assert work.target_size_hw is not None
        self._progress.upscaling(work.job.name, work.source_size_hw, work.target_size_hw)
        self._journal.begin(work.job, work.stamp, self._fingerprints.of(work.job))
        after = self._before_in_strips(work) if self._previews else None
        scale = self._upscaler.info.scale
        with work.timed():
            reader = work.reader
            if work.passes == 2:
                reader = EnlargedReader(self._upscaler, reader, scale)
            work.notes += write_in_strips(
                self._upscaler,
                reader,
                work.job.target,
                self._settings,
                scale=scale,
                target_hw=work.target_size_hw,
                stop=self._stop,
                on_tile=self._progress.upscaled,
                on_strip=after.add if after else lambda strip: None,
            )
        if after:
            work.preview = after.preview()
        self._journal.finish(work.job, work.stamp, self._fingerprints.of(work.job))

    def _before_in_strips(self, work: Work) -> After:
        assert work.reader is not None
        assert work.target_size_hw is not None
        reader, header = work.reader, work.reader.header

        def strips() -> Iterator[Picture]:
            for strip in strips_of(reader.again(), max(1, BLOCK_PX // header.size_hw[1])):
                if self._stop.is_set():
                    raise Cancelled
                yield strip

        before = Before.of_strips(header, strips, work.target_size_hw)
        return After(before, work.target_size_hw)

    def encode(self, work: Work) -> None:
        """Write the upscaled picture."""
        assert work.picture is not None
        assert work.source_size_hw is not None
        assert work.stamp is not None
        scale = self._upscaler.info.scale
        with work.timed():
            picture = fit(work.picture, work.source_size_hw, self._settings, scale)
        work.picture = None
        if self._stop.is_set():
            raise Cancelled
        work.target_size_hw = picture.size_hw
        if work.before:
            work.preview = work.before.beside(picture)
        self._journal.begin(work.job, work.stamp, self._fingerprints.of(work.job))
        with work.timed():
            work.notes += encode(picture, work.job.target, self._settings)
        self._journal.finish(work.job, work.stamp, self._fingerprints.of(work.job))


@contextmanager
def _readable() -> Iterator[None]:
    """Convert errors of the system to errors of the picture."""
    try:
        yield
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error


def fed_headers(header: Picture, scale: int, passes: int) -> list[Picture]:
    """Return the headers of each pass's input."""
    return [header, *([enlarged_header(header, scale)] if passes == 2 else [])]
