"""Worker on a cluster machine: the usual pipeline, with results sent to the driver."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from runtime.backends.trt.request import BuildEngine
from runtime.errors import Cancelled, DggnError, EnvironmentProblem, TargetError
from runtime.jobs.ends import Files, Ledger, Source
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints, size_of
from runtime.jobs.result import FileResult
from runtime.jobs.stamp import SourceStamp
from runtime.report.progress import QuietProgress
from runtime.run.options import Options
from runtime.run.workers import Facts, OneMachine, Order, open_here
from runtime.stores.client import ObjectStore
from runtime.stores.source import Objects
from runtime.stores.staging import Staging
from runtime.stores.target import PutResults
from runtime.stores.url import StoreUrl
from runtime.system.cache import user_cache
from runtime.system.files import locked, remove_unfinished
from runtime.system.package import installed_version

STOP_S = 0.8


@dataclass(frozen=True, kw_only=True)
class Made:
    """The outcome of a picture, and its record for the journal."""

    result: FileResult
    stamp: SourceStamp | None = None
    output_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A worker that is ready."""

    facts: Facts
    version: str


class Worker:
    """One of a cluster's workers; a Ray actor.

    Args:
        options: what is asked for, with this worker's share of threads and memory.
        make_builder: makes what builds missing TensorRT engines; None to build none.
    """

    def __init__(self, options: Options, make_builder: Callable[[], BuildEngine] | None) -> None:
        self._options = options
        self._make_builder = make_builder
        self._stack = ExitStack()
        self._machine: OneMachine | None = None
        self._stopped = threading.Event()

    def hello(self) -> bool:
        """Return True once the worker has been placed."""
        return True

    def open(self) -> Opened | DggnError:
        """Load the model; errors are returned, because raised ones would be wrapped by Ray."""
        options = self._options
        try:
            for place in (options.source,):
                if isinstance(place, Path) and not place.exists():
                    raise EnvironmentProblem(
                        f"{place} is not there on {os.uname().nodename}: INPUT and OUTPUT must be "
                        "on a disk that all machines of the cluster share, or in an object store"
                    )
            cache = user_cache()
            cache.mkdir(parents=True, exist_ok=True)
            # One worker of a machine builds an engine, and the others use it.
            with locked(cache / ".cluster-lock") if self._make_builder else nullcontext():
                build = self._make_builder() if self._make_builder else None
                options = replace(options, request=replace(options.request, build=build))
                machine = self._stack.enter_context(open_here(options, _silent()))
            assert isinstance(machine, OneMachine)
            self._machine = machine
            self._ends = _Ends(options, self._stack)
        except DggnError as error:
            return error
        except OSError as error:
            return EnvironmentProblem(f"a worker cannot start: {error}")
        return Opened(facts=self._machine.facts, version=installed_version())

    def upscale(
        self, jobs: Sequence[Job], fingerprints: Fingerprints, *, previews: bool
    ) -> Iterator[Made | DggnError]:
        """Upscale some pictures.

        Yields:
            Each one as it is done; an error ends the run.
        """
        assert self._machine is not None
        here = [self._ends.here(job) for job in jobs]
        notes = Notes(self._ends.store)
        order = Order(
            source=self._ends.source, journal=notes, fingerprints=fingerprints, previews=previews
        )
        try:
            for folder in {job.target.parent for job in here}:
                if not folder.is_dir():
                    raise TargetError(
                        f"{folder} is not there on {os.uname().nodename}: OUTPUT must be on a disk "
                        "that all machines of the cluster share, or in an object store"
                    )
            for result in self._machine.run(here, order):
                stamp, output_bytes = notes.pop(result.name)
                yield Made(result=result, stamp=stamp, output_bytes=output_bytes)
        except DggnError as error:
            yield error
        except Cancelled:
            return

    def stop(self) -> bool:
        """Stop, leaving only complete files."""
        if self._machine:
            self._machine.cancel(within_s=STOP_S)
        remove_unfinished()
        return True


class Notes:
    """Records for the driver's journal, kept until the picture's result is sent.

    Args:
        store: puts results into a store; None where they are files.
    """

    def __init__(self, store: PutResults | None) -> None:
        self._store = store
        self._finished: dict[str, tuple[SourceStamp, int]] = {}

    def pop(self, name: str) -> tuple[SourceStamp | None, int | None]:
        """Return the record of a picture; nothing if it has no result."""
        return self._finished.pop(name, (None, None))

    def is_done(self, job: Job, fingerprint: str) -> bool:
        """Return False: the driver has checked."""
        return False

    def is_foreign(self, job: Job) -> bool:
        """Return False: the driver has checked."""
        return False

    def made_from(self, job: Job) -> str:
        """Do nothing: the driver has checked."""
        return ""

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """Do nothing: the driver has recorded it."""

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """Record the result, and put it in place."""
        self._finished[job.name] = (source, size_of(job.target))
        if self._store:
            self._store.finish(job, source, fingerprint)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: nothing is open."""


class _Ends:
    """INPUT and OUTPUT as seen from this machine.

    Args:
        options: name them.
        stack: closes what is opened.
    """

    def __init__(self, options: Options, stack: ExitStack) -> None:
        source, target = options.source, options.target
        self._staging: Staging | None = None
        if isinstance(source, StoreUrl) or isinstance(target, StoreUrl):
            self._staging = stack.enter_context(Staging())
        self.source: Source = (
            Objects(ObjectStore(source)) if isinstance(source, StoreUrl) else Files()
        )
        self.store = PutResults(ObjectStore(target)) if isinstance(target, StoreUrl) else None
        for place in (source, target):
            if isinstance(place, StoreUrl):
                # Only to check access; the content does not matter.
                ObjectStore(place).find(place.child("dggn-run"))

    def here(self, job: Job) -> Job:
        """Return a job with this machine's staging folder instead of the driver's."""
        if self._staging is None:
            return job
        if job.origin:
            job = replace(job, source=self._staging.sources / job.source.name)
        if job.target_url:
            job = replace(job, target=self._staging.results / job.target.name)
        return job


def _silent() -> QuietProgress:
    return _Silent(_nowhere())


class _Silent(QuietProgress):
    """Progress without output, since the driver reports results."""

    def finished(self, result: FileResult) -> None:
        """Do nothing."""


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")
