"""The driver of a cluster's workers: distributes pictures, and alone writes the journal."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runtime.backends.trt.request import BuildEngine
from runtime.cluster.chunks import FATAL, Chunks
from runtime.cluster.connect import bounded, join
from runtime.cluster.hire import Hired, Hirer, said_by
from runtime.cluster.share import Node, Slot, can_work, divide
from runtime.cluster.worker import Made
from runtime.errors import Cancelled, DggnError, EnvironmentProblem
from runtime.jobs.job import Job
from runtime.jobs.result import FileResult
from runtime.jobs.stamp import SourceStamp
from runtime.model.info import DEFAULT_MODEL, gpu_default
from runtime.report.progress import Progress
from runtime.run.options import Options
from runtime.run.workers import Order, Workers

POLL_S = 0.2
"""Polling interval for a stop of the run."""

LOOK_S = 10
"""Between two looks for machines that have joined."""

HEAD_S = 30
"""For the cluster's head to answer. After 60 s, Ray would end this process without a report."""

PARTING_S = 10

UNAVAILABLE_S = 120
"""For a worker that cannot be reached to come back, before it counts as lost."""


@dataclass(kw_only=True)
class Task:
    """A chunk that a worker is processing."""

    worker: Hired
    results: Any
    """Ray's generator of references."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """Those without a result yet, by name."""


class Crew:
    """A cluster's workers; see `Workers`.

    Args:
        ray: the module, connected.
        hirer: starts workers.
        progress: told how it goes.
        divide_now: divides the machines that are there now.
        newcomers: divides those that have joined since.
        stop: set by :meth:`cancel`.
    """

    def __init__(
        self,
        ray: Any,
        hirer: Hirer,
        progress: Progress,
        divide_now: Callable[[], list[Slot]],
        newcomers: Callable[[], list[Slot]],
        stop: threading.Event,
    ) -> None:
        self._ray = ray
        self._hirer = hirer
        self._progress = progress
        self._newcomers = newcomers
        self.when_cancelled: Callable[[], None] = lambda: None
        """Called at the end of :meth:`cancel`."""
        self._stop = stop
        self._tasks: dict[Any, Task] = {}
        self._idle: list[Hired] = hirer.hire(divide_now())
        self.facts = replace(
            hirer.facts, description=f"{_counted(self._idle)}: {hirer.facts.description}"
        )

    def run(self, todo: Sequence[Job], order: Order) -> Iterator[FileResult]:
        """Process the jobs; call once.

        Raises:
            EnvironmentProblem: no worker is left, or one says that nothing can be done.
            Cancelled: :meth:`cancel` was called.
        """
        chunks = Chunks(todo)
        looked = time.monotonic()
        while chunks.left:
            if self._stop.is_set():
                raise Cancelled
            if time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                if slots := self._newcomers():
                    self._idle += self._hirer.hire(slots)
            self._deal(chunks, order)
            ready, _ = self._ray.wait(
                list(self._tasks), num_returns=1, timeout=POLL_S, fetch_local=False
            )
            for generator in ready:
                for result in self._collect(self._tasks[generator], chunks, order):
                    chunks.left -= 1
                    yield result

    def cancel(self, *, within_s: float) -> None:
        """Stop from another thread, leaving only complete files."""
        self._stop.set()
        workers = [task.worker for task in list(self._tasks.values())]
        self._hirer.dismiss([*workers, *self._idle], within_s=within_s)
        self.when_cancelled()

    def _deal(self, chunks: Chunks, order: Order) -> None:
        workers = len(self._idle) + len(self._tasks)
        while self._idle and chunks.waiting:
            worker = self._idle.pop()
            jobs = chunks.take(workers)
            for job in jobs:
                fingerprint = order.fingerprints.of(job)
                order.journal.begin(job, SourceStamp.unread(job.place), fingerprint)
            generator = worker.actor.upscale.options(num_returns="streaming").remote(
                jobs, order.fingerprints, previews=order.previews
            )
            self._tasks[generator] = Task(
                worker=worker, results=generator, jobs={job.name: job for job in jobs}
            )
        if not workers:
            raise EnvironmentProblem(
                "no worker of the cluster is left: see `ray status`, and Ray's logs on its machines"
            )

    def _collect(self, task: Task, chunks: Chunks, order: Order) -> Iterator[FileResult]:
        """Take a worker's next result, if there is another."""
        errors = self._ray.exceptions
        try:
            made = self._ray.get(next(task.results))
        except StopIteration:
            self._end(task)
            self._idle.append(task.worker)
            chunks.put_back(task.jobs.values())  # none, if it was not told to stop
        except errors.ActorUnavailableError:
            self._end(task)
            if self._hirer.comes_back(task.worker, within_s=UNAVAILABLE_S, stop=self._stop):
                self._idle.append(task.worker)
                chunks.put_back(task.jobs.values())
            else:
                yield from self._lost(task, chunks)
        except (errors.RayError, OSError):
            self._end(task)
            yield from self._lost(task, chunks)
        else:
            if isinstance(made, DggnError):
                raise said_by(task.worker.slot.node.host, made)
            yield self._noted(made, task, order)

    def _noted(self, made: Made, task: Task, order: Order) -> FileResult:
        job = task.jobs.pop(made.result.name)
        result = made.result
        if made.stamp is not None and not job.target_url:
            fingerprint = order.fingerprints.of(job)
            order.journal.finish(job, made.stamp, fingerprint, output_bytes=made.output_bytes)
        if result.source_size_hw and result.target_size_hw:
            self._progress.upscaling(job.name, result.source_size_hw, result.target_size_hw)
            self._progress.upscaled(1.0)
        return replace(result, target=job.shown_target if result.status == "done" else None)

    def _lost(self, task: Task, chunks: Chunks) -> Iterator[FileResult]:
        if self._stop.is_set():  # which ends workers
            raise Cancelled
        where = task.worker.slot.node.host
        count = len(task.jobs)
        self._progress.say(
            f"a worker on {where} was lost; its {count} unfinished "
            f"{'picture is' if count == 1 else 'pictures are'} done again, one at a time"
        )
        for job in chunks.lose(task.jobs.values()):
            yield FileResult(
                name=job.name,
                status="failed",
                message=f"it ended {FATAL} workers: try it alone, with `dggn-run` on one machine",
            )
        self._idle += self._hirer.replace(task.worker)

    def _end(self, task: Task) -> None:
        del self._tasks[task.results]


@contextlib.contextmanager
def open_cluster(
    address: str,
    workers: int | None,
    make_builder: Callable[[], BuildEngine] | None,
    options: Options,
    progress: Progress,
) -> Iterator[Workers]:
    """Use a cluster's machines.

    Args:
        address: `auto`, or HOST:PORT.
        workers: how many; None for as many as there are GPUs, or groups of cores.
        make_builder: makes what builds missing TensorRT engines.
        options: what is asked for.
        progress: told how it goes.

    Raises:
        DggnError: the cluster cannot be used, or the model cannot.
    """
    with contextlib.ExitStack() as hushed:
        # Ray prints its daemons' messages to standard output, where reports go.
        hushed.enter_context(contextlib.redirect_stdout(io.StringIO()))
        with _crew(address, workers, make_builder, options, progress) as crew:
            crew.when_cancelled = hushed.close
            yield crew


@contextlib.contextmanager
def _crew(
    address: str,
    workers: int | None,
    make_builder: Callable[[], BuildEngine] | None,
    options: Options,
    progress: Progress,
) -> Iterator[Crew]:
    ray = join(address)
    cancelled = threading.Event()
    try:
        name = options.request.name
        on_gpu = True if name in ("tensorrt", "cuda") else None if name == "auto" else False

        def nodes() -> list[Node]:
            return bounded(lambda: alive(ray), HEAD_S, "the cluster's head does not answer")

        def divide_now() -> list[Slot]:
            return divide(
                nodes(), workers=workers, on_gpu=on_gpu, memory_bytes=options.memory_bytes
            )

        def newcomers() -> list[Slot]:
            # A given number of workers is not exceeded, even if machines join.
            fresh = [node for node in nodes() if node.node_id not in hirer.known]
            if workers or not any(can_work(node, on_gpu) for node in fresh):
                return []
            return divide(fresh, workers=None, on_gpu=on_gpu, memory_bytes=options.memory_bytes)

        settled = with_one_model(absolute(options), divide_now())
        hirer = Hirer(ray, settled, make_builder, progress)
        yield Crew(ray, hirer, progress, divide_now, newcomers, cancelled)
    finally:
        # The cancelling thread still talks to the workers, and ends the process.
        if not cancelled.is_set():
            # It may wait for a lost head.
            with contextlib.suppress(EnvironmentProblem):
                bounded(ray.shutdown, PARTING_S, "the cluster does not disconnect")


def alive(ray: Any) -> list[Node]:
    """Return the cluster's machines."""
    return [Node.of(node) for node in ray.nodes() if node["Alive"]]


def absolute(options: Options) -> Options:
    """Return options that do not depend on the current folder."""
    source, target, model = options.source, options.target, options.model
    return replace(
        options,
        source=source.absolute() if isinstance(source, Path) else source,
        target=target.absolute() if isinstance(target, Path) else target,
        model=str(Path(model).absolute())
        if model and "://" not in model and Path(model).is_file()
        else model,
    )


def with_one_model(options: Options, slots: Sequence[Slot]) -> Options:
    """Return options that name the model, so that no worker chooses another.

    The default is the one for GPUs if every worker has a GPU.
    """
    if options.model is not None:
        return options
    on_gpu = all(slot.gpus for slot in slots)
    large = gpu_default(options.request.precision, options.denoise)
    return replace(options, model=large if on_gpu else DEFAULT_MODEL)


def _counted(workers: Sequence[Hired]) -> str:
    machines = len({worker.slot.node.node_id for worker in workers})
    return (
        f"{len(workers)} worker{'s' if len(workers) != 1 else ''} on "
        f"{machines} machine{'s' if machines != 1 else ''}"
    )
