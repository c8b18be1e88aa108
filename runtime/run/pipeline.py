"""Concurrent decoding, inference and encoding in bounded memory.

    decode threads  ->  queue  ->  one inference thread  ->  queue  ->  encode threads

Sources that are not files here are fetched by threads of their own before.

Every job ends in exactly one :class:`FileResult`, so that counting results tells when all is
done. A picture's own error is its result, and the others go on; any other error ends the run.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from runtime.codecs.output import OutputSettings
from runtime.errors import Cancelled, DggnError, ImageError
from runtime.jobs.ends import Files, Ledger, Source
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints
from runtime.jobs.result import FileResult, Status
from runtime.report.progress import Progress
from runtime.run.memory import default_memory_bytes
from runtime.run.route import Route
from runtime.run.stages import PictureUpscaler, Stages
from runtime.run.work import Work
from runtime.system.budget import POLL_S, Budget
from runtime.system.cores import usable_cores
from runtime.video.settings import VideoSettings

_logger = logging.getLogger(__name__)

Anything = TypeVar("Anything")


def default_jobs(*, on_gpu: bool = False) -> int:
    """Return the default number of encoding threads.

    Half the cores, for inference needs some too; all of them where a GPU infers.
    """
    cores = usable_cores()
    return max(1, min(32, cores) if on_gpu else min(8, cores // 2))


class Pipeline:
    """Pipeline of decode, inference and encode threads.

    At most `2 * jobs + 4` pictures are in memory at once, whatever the number of jobs.

    Args:
        upscaler: called from one thread only.
        settings: output settings.
        journal: records started and finished results, and puts them where they belong.
        fingerprints: fingerprints of model and settings, for the journal.
        video: settings for videos.
        progress: receives the picture being upscaled.
        source: where the pictures come from; by default they are files.
        jobs: encoding threads; half as many decode.
        previews: make small before and after pictures of every result.
        memory_bytes: limit for upscaled pictures; a single larger one is still admitted.
        whole_bytes: larger results are made in strips.
    """

    def __init__(
        self,
        upscaler: PictureUpscaler,
        settings: OutputSettings,
        *,
        journal: Ledger,
        fingerprints: Fingerprints,
        video: VideoSettings | None = None,
        progress: Progress,
        source: Source | None = None,
        jobs: int | None = None,
        previews: bool = False,
        memory_bytes: int | None = None,
        whole_bytes: int | None = None,
    ) -> None:
        self._upscaler = upscaler
        self._encoders = jobs or default_jobs()
        self._decoders = (self._encoders + 1) // 2
        self._memory = Budget(memory_bytes or default_memory_bytes())
        self._source = source or Files()
        self._fetched: queue.Queue[Work] = queue.Queue(2)
        self._decoded: queue.Queue[Work] = queue.Queue(2)
        self._upscaled: queue.Queue[Work] = queue.Queue(1)
        self._results: queue.Queue[FileResult | BaseException] = queue.Queue()
        self._stop = threading.Event()
        self._stages = Stages(
            upscaler,
            settings,
            route=Route(upscaler.info, settings, whole_bytes=whole_bytes or default_memory_bytes()),
            source=self._source,
            journal=journal,
            fingerprints=fingerprints,
            video=video or VideoSettings(),
            progress=progress,
            previews=previews,
            stop=self._stop,
        )
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[FileResult]:
        """Process the jobs; call once.

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
        loops += [lambda: self._fetch_loop(waiting)] * self._source.fetchers
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
        """Wait for the threads to end after a stop.

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

    def _fetch_loop(self, waiting: queue.SimpleQueue[Job]) -> None:
        while (work := self._next_fetched(waiting)) is not None:
            self._put(self._fetched, work)

    def _decode_loop(self, waiting: queue.SimpleQueue[Job]) -> None:
        while True:
            if self._source.fetchers:
                work: Work | None = self._get(self._fetched)
            else:
                work = self._next_fetched(waiting)
            if work is None:
                return
            if self._attempt(self._stages.decode, work):
                self._put(self._decoded, work)

    def _next_fetched(self, waiting: queue.SimpleQueue[Job]) -> Work | None:
        """Return the next picture whose source is there; None when there are no more."""
        while not self._stop.is_set():
            try:
                work = Work(job=waiting.get_nowait())
            except queue.Empty:
                break
            if self._attempt(self._stages.fetch, work):
                return work
        return None

    def _infer_loop(self) -> None:
        while True:
            work = self._next_decoded()
            if not self._memory.has_room(work.large_bytes):
                self._upscaler.finish()  # what is to make room may still wait for a full batch
            self._memory.take(work.large_bytes, self._stop)
            if work.reader or work.clip:
                make = self._stages.make_clip if work.clip else self._stages.make_in_strips
                if self._attempt(make, work):
                    self._end(work, "done")
                self._memory.give(work.large_bytes)
            elif not self._attempt(self._infer, work):
                self._memory.give(work.large_bytes)
            del work  # or the last picture would stay in memory while this waits

    def _next_decoded(self) -> Work:
        try:
            return self._decoded.get_nowait()
        except queue.Empty:
            self._upscaler.finish()  # nothing more to fill a batch with
            return self._get(self._decoded)

    def _infer(self, work: Work) -> None:
        self._stages.infer(work, lambda done: self._put(self._upscaled, done))

    def _encode_loop(self) -> None:
        while True:
            work = self._get(self._upscaled)
            try:
                written = self._attempt(self._stages.encode, work)
            finally:
                self._memory.give(work.large_bytes)
            if written:
                self._end(work, "done")
            del work

    def _attempt(self, stage: Callable[[Work], None], work: Work) -> bool:
        """Run one stage; a picture's own error becomes its result.

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
        self._end(work, "failed", message)
        return False

    def _end(self, work: Work, status: Status, message: str = "") -> None:
        self._source.release(work.job)
        self._results.put(work.result(status, message))

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
