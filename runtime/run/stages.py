"""What is done to one picture, a method for each step, which `runtime.run.pipeline` calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from runtime.codecs.encode import encode
from runtime.codecs.formats import check_size
from runtime.codecs.frames import all_of
from runtime.codecs.output import OutputSettings, fit, passes_for, target_size_hw
from runtime.errors import Cancelled, ImageReadError
from runtime.image.picture import Picture
from runtime.image.strip_source import StripReader, strips_of
from runtime.jobs.ends import Ledger, Source
from runtime.model.info import ModelInfo
from runtime.report.preview import BLOCK_PX, After, Before
from runtime.report.progress import Progress
from runtime.run.in_strips import check_strips, write_in_strips
from runtime.run.route import Route
from runtime.run.second_pass import SECOND_PASS_NOTE, EnlargedReader, enlarged_header, shares
from runtime.run.work import Work
from runtime.tiles.stitch import OnTile


class PictureUpscaler(Protocol):
    """The part of `Upscaler` that the pipeline needs."""

    info: ModelInfo

    def submit_picture(
        self,
        picture: Picture,
        on_done: Callable[[Picture], None],
        *,
        on_tile: OnTile | None = None,
    ) -> None:
        """Upscale a picture now or later; see `Upscaler.submit_picture`."""

    def upscale_picture(self, picture: Picture, *, on_tile: OnTile | None = None) -> Picture:
        """Upscale a picture and wait for it; see `Upscaler.upscale_picture`."""

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """The rows of a result that is too large for memory; see `Upscaler.strips`."""

    def strip_bytes(self, header: Picture) -> int:
        """How much memory the largest of `strips` takes."""

    def finish(self) -> None:
        """Wait until all that was submitted is done; see `Upscaler.finish`."""

    def cancel(self) -> None:
        """Make the running and every later call raise `Cancelled`."""


class Stages:
    """The steps from a file to its result.

    Each raises `ImageError` where the picture is at fault, and `Cancelled` after a stop.

    Args:
        upscaler: `infer` and `make_in_strips` are called from one thread only.
        settings: how results are written.
        route: opens sources.
        source: where they come from.
        journal: told what is begun and finished.
        fingerprint: of model and settings, for the journal.
        progress: told which picture is being upscaled.
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
        journal: Ledger,
        fingerprint: str,
        progress: Progress,
        previews: bool,
        stop: threading.Event,
    ) -> None:
        self._upscaler = upscaler
        self._settings = settings
        self._route = route
        self._source = source
        self._journal = journal
        self._fingerprint = fingerprint
        self._progress = progress
        self._previews = previews
        self._stop = stop

    def fetch(self, work: Work) -> None:
        """See to it that the source is there."""
        with _readable():
            work.stamp = self._source.fetch(work.job, self._stop)

    def decode(self, work: Work) -> None:
        """Open the source, and refuse what could not be written."""
        assert work.stamp is not None
        with _readable():
            with work.timed():
                opened = self._route.open(work.job.source)
            unchanged = self._source.is_unchanged(work.job, work.stamp)
        if not unchanged:
            raise ImageReadError("the file changed while it was read: run the command again")
        seen = work.see(opened)
        scale = self._upscaler.info.scale
        work.source_size_hw = seen.size_hw
        work.target_size_hw = target_size_hw(work.source_size_hw, self._settings, scale)
        # Better now than after the work of upscaling it.
        for page in all_of(seen):
            check_size(target_size_hw(page.size_hw, self._settings, scale), work.job.target)
        work.frames = 1 + len(seen.more)
        work.passes = passes_for([page.size_hw for page in all_of(seen)], self._settings, scale)
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

    def infer(self, work: Work, pass_on: Callable[[Work], None]) -> None:
        """Upscale what was decoded, now or later; then pass it on, from any thread."""
        assert work.picture is not None
        assert work.source_size_hw is not None
        assert work.target_size_hw is not None
        self._progress.upscaling(work.job.name, work.source_size_hw, work.target_size_hw)
        began = time.monotonic()
        picture = work.picture
        on_tile: OnTile = self._progress.upscaled
        if work.passes == 2:
            first, on_tile = shares(on_tile, self._upscaler.info.scale)
            picture = self._upscaler.upscale_picture(picture, on_tile=first)

        def done(picture: Picture) -> None:
            work.picture = picture
            work.seconds += time.monotonic() - began
            pass_on(work)

        # From here on the work belongs to whoever completes it.
        self._upscaler.submit_picture(picture, done, on_tile=on_tile)

    def make_in_strips(self, work: Work) -> None:
        """All that is left to do for a picture whose result is too large for memory."""
        assert work.reader is not None
        assert work.source_size_hw is not None
        assert work.stamp is not None
        self._upscaler.finish()  # what still waits for a full batch would wait for long
        assert work.target_size_hw is not None
        self._progress.upscaling(work.job.name, work.source_size_hw, work.target_size_hw)
        self._journal.begin(work.job, work.stamp, self._fingerprint)
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
        self._journal.finish(work.job, work.stamp, self._fingerprint)

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
        """Write what was upscaled."""
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
        self._journal.begin(work.job, work.stamp, self._fingerprint)
        with work.timed():
            work.notes += encode(picture, work.job.target, self._settings)
        self._journal.finish(work.job, work.stamp, self._fingerprint)


@contextmanager
def _readable() -> Iterator[None]:
    """Raise the system's errors as those of the picture."""
    try:
        yield
    except OSError as error:
        raise ImageReadError(f"cannot be read: {error.strerror or error}") from error


def fed_headers(header: Picture, scale: int, passes: int) -> list[Picture]:
    """The headers of what each pass is given."""
    return [header, *([enlarged_header(header, scale)] if passes == 2 else [])]
