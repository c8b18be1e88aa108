"""Decoding, inference and encoding at the same time, in bounded memory.

    decode threads  ->  queue  ->  one inference thread  ->  queue  ->  encode threads

Every job ends in exactly one :class:`FileResult`, so that counting results tells when all is
done. A picture's own error is its result, and the others go on; any other error ends the run.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from runtime.cores import usable_cores
from runtime.encode import encode
from runtime.errors import Cancelled, DggnError, ImageError, ImageReadError
from runtime.formats import OutputSettings, check_size
from runtime.frames import all_of
from runtime.jobs import FileResult, Job, Status
from runtime.journal import Journal, SourceStamp
from runtime.large import check_strips, write_in_strips
from runtime.memory import POLL_S, MemoryBudget, default_memory_bytes
from runtime.model_info import ModelInfo
from runtime.picture import Picture
from runtime.preview import Before, Preview
from runtime.progress import Progress
from runtime.resize import fit, target_size_hw
from runtime.route import Route
from runtime.stitch import OnTile
from runtime.strip_reader import StripReader

_logger = logging.getLogger(__name__)

Anything = TypeVar("Anything")


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

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """The rows of a result that is too large for memory; see `Upscaler.strips`."""

    def strip_bytes(self, header: Picture) -> int:
        """How much memory the largest of `strips` takes."""

    def finish(self) -> None:
        """Wait until all that was submitted is done; see `Upscaler.finish`."""

    def cancel(self) -> None:
        """Make the running and every later call raise `Cancelled`."""


@dataclass(kw_only=True)
class _Work:
    """One picture on its way."""

    job: Job
    stamp: SourceStamp | None = None
    picture: Picture | None = None
    reader: StripReader | None = None
    """Instead of the picture, where the result is too large for memory."""
    source_size_hw: tuple[int, int] | None = None
    target_size_hw: tuple[int, int] | None = None
    large_bytes: int = 0
    frames: int = 1
    before: Before | None = None
    preview: Preview | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def see(self, opened: Picture | StripReader) -> Picture:
        """Keep what was opened.

        Returns:
            What tells of its size, kind and metadata.
        """
        if isinstance(opened, Picture):
            self.picture = opened
            return opened
        self.reader = opened
        return opened.header

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time of a stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began

    def result(self, status: Status, message: str = "") -> FileResult:
        done = status == "done"
        return FileResult(
            name=self.job.name,
            status=status,
            message=message,
            source_size_hw=self.source_size_hw,
            target_size_hw=self.target_size_hw if done else None,
            target=str(self.job.target) if done else None,
            seconds=round(self.seconds, 3),
            frames=self.frames,
            notes=(*self.job.notes, *self.notes) if done else (),
            preview=self.preview if done else None,
        )


def default_jobs(*, on_gpu: bool = False) -> int:
    """How many threads encode, if nobody says.

    Half the cores, for inference needs some too; all of them where a GPU infers.
    """
    cores = usable_cores()
    return max(1, min(32, cores) if on_gpu else min(8, cores // 2))


class Pipeline:
    """Runs jobs through decode, inference and encode.

    At most `2 * jobs + 4` pictures are in memory at once, whatever the number of jobs.

    Args:
        upscaler: called from one thread only.
        settings: how results are written.
        journal: told what is begun and finished.
        fingerprint: of model and settings, for the journal.
        progress: told which picture is being upscaled.
        jobs: threads that encode; half as many decode.
        previews: make small before and after pictures of every result.
        memory_bytes: for upscaled pictures; one is let through even if it is larger.
        whole_bytes: larger results are made in strips.
    """

    def __init__(
        self,
        upscaler: PictureUpscaler,
        settings: OutputSettings,
        *,
        journal: Journal,
        fingerprint: str,
        progress: Progress,
        jobs: int | None = None,
        previews: bool = False,
        memory_bytes: int | None = None,
        whole_bytes: int | None = None,
    ) -> None:
        self._upscaler = upscaler
        self._settings = settings
        self._journal = journal
        self._fingerprint = fingerprint
        self._progress = progress
        self._previews = previews
        self._encoders = jobs or default_jobs()
        self._decoders = (self._encoders + 1) // 2
        self._memory = MemoryBudget(memory_bytes or default_memory_bytes())
        self._route = Route(upscaler.info, whole_bytes=whole_bytes or default_memory_bytes())
        self._decoded: queue.Queue[_Work] = queue.Queue(2)
        self._upscaled: queue.Queue[_Work] = queue.Queue(1)
        self._results: queue.Queue[FileResult | BaseException] = queue.Queue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[FileResult]:
        """Do the jobs; to be called once.

        Yields:
            A result for every job, in the order of completion.

        Raises:
            EnvironmentProblem: the inference library failed or the target cannot be written.
            Cancelled: :meth:`cancel` was called.
        """
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        loops: list[Callable[[], None]] = [self._infer_loop]
        loops += [lambda: self._decode_loop(waiting)] * self._decoders
        loops += [self._encode_loop] * self._encoders
        # Daemons, so that a picture that takes long to encode does not delay a Ctrl-C.
        self._threads = [
            threading.Thread(target=self._guarded, args=(loop,), daemon=True) for loop in loops
        ]
        for thread in self._threads:
            thread.start()
        try:
            for _ in jobs:
                result = self._get(self._results)
                if isinstance(result, BaseException):
                    raise result
                yield result
        except BaseException:
            self.cancel()
            raise
        finally:
            self._stop.set()
            self.join(timeout_s=60)

    def cancel(self) -> None:
        """Stop as soon as possible, from any thread; :meth:`run` raises `Cancelled`."""
        self._stop.set()
        self._upscaler.cancel()

    def join(self, *, timeout_s: float) -> bool:
        """Wait for the threads after a stop.

        Returns:
            Whether all have ended.
        """
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            self._results.put(error)

    def _decode_loop(self, waiting: queue.SimpleQueue[Job]) -> None:
        while not self._stop.is_set():
            try:
                work = _Work(job=waiting.get_nowait())
            except queue.Empty:
                return
            if self._attempt(self._decode, work):
                self._put(self._decoded, work)

    def _infer_loop(self) -> None:
        while True:
            work = self._next_decoded()
            if not self._memory.has_room(work.large_bytes):
                self._upscaler.finish()  # what is to make room may still wait for a full batch
            self._memory.take(work.large_bytes, self._stop)
            if work.reader:
                if self._attempt(self._make_in_strips, work):
                    self._results.put(work.result("done"))
                self._memory.give(work.large_bytes)
            elif not self._attempt(self._infer, work):
                self._memory.give(work.large_bytes)
            del work  # or the last picture would stay in memory while this waits

    def _next_decoded(self) -> _Work:
        try:
            return self._decoded.get_nowait()
        except queue.Empty:
            self._upscaler.finish()  # nothing more to fill a batch with
            return self._get(self._decoded)

    def _encode_loop(self) -> None:
        while True:
            work = self._get(self._upscaled)
            try:
                written = self._attempt(self._encode, work)
            finally:
                self._memory.give(work.large_bytes)
            if written:
                self._results.put(work.result("done"))
            del work

    def _attempt(self, stage: Callable[[_Work], None], work: _Work) -> bool:
        """Do one stage; a picture's own error becomes its result.

        Returns:
            Whether the picture goes on to the next stage.
        """
        try:
            stage(work)
        except ImageError as error:
            # Lines about a picture begin with its name already.
            message = str(error).removeprefix(f"{work.job.source.name}: ")
        except (DggnError, Cancelled):
            raise
        except MemoryError:
            message = "not enough memory for this picture: close other programs, or use --jobs 1"
        except Exception as error:  # a mistake of ours or a library's: never silent, never fatal
            _logger.exception("unexpected error at %s", work.job.source)
            message = f"unexpected {type(error).__name__}: {error}. Please report this"
        else:
            return True
        work.picture = work.reader = None
        self._results.put(work.result("failed", message))
        return False

    def _decode(self, work: _Work) -> None:
        source = work.job.source
        try:
            work.stamp = SourceStamp.of(source)
            with work.timed():
                opened = self._route.open(source)
            unchanged = work.stamp.still_of(source)
        except OSError as error:
            raise ImageReadError(f"cannot be read: {error.strerror or error}") from error
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
        work.notes += seen.notes
        if work.reader:
            work.large_bytes = check_strips(
                self._upscaler,
                seen,
                work.job.target,
                memory_bytes=self._route.memory_bytes,
            )
            return
        work.large_bytes = seen.nbytes * scale**2
        if self._previews:
            work.before = Before.of(seen, work.target_size_hw)

    def _infer(self, work: _Work) -> None:
        assert work.picture is not None
        assert work.source_size_hw is not None
        self._progress.upscaling(work.job.name, work.source_size_hw)
        began = time.monotonic()

        def done(picture: Picture) -> None:
            work.picture = picture
            work.seconds += time.monotonic() - began
            self._put(self._upscaled, work)

        # From here on the work belongs to whoever completes it.
        self._upscaler.submit_picture(work.picture, done, on_tile=self._progress.upscaled)

    def _make_in_strips(self, work: _Work) -> None:
        """All that is left to do for a picture whose result is too large for memory."""
        assert work.reader is not None
        assert work.source_size_hw is not None
        assert work.stamp is not None
        self._upscaler.finish()  # what still waits for a full batch would wait for long
        self._progress.upscaling(work.job.name, work.source_size_hw)
        self._journal.begin(work.job, work.stamp, self._fingerprint)
        with work.timed():
            work.notes += write_in_strips(
                self._upscaler,
                work.reader,
                work.job.target,
                self._settings,
                scale=self._upscaler.info.scale,
                stop=self._stop,
                on_tile=self._progress.upscaled,
            )
        self._journal.finish(work.job, work.stamp, self._fingerprint)

    def _encode(self, work: _Work) -> None:
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

    def _get(self, source: queue.Queue[Anything]) -> Anything:
        while not self._stop.is_set():
            try:
                return source.get(timeout=POLL_S)
            except queue.Empty:
                continue
        raise Cancelled

    def _put(self, target: queue.Queue[Anything], item: Anything) -> None:
        while not self._stop.is_set():
            try:
                return target.put(item, timeout=POLL_S)
            except queue.Full:
                continue
        raise Cancelled
