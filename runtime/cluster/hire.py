"""Starts and stops workers on a cluster's machines."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runtime.backends.trt.request import BuildEngine
from runtime.cluster.share import Slot
from runtime.cluster.worker import Opened, Worker
from runtime.errors import DggnError, EnvironmentProblem
from runtime.report.progress import Progress
from runtime.run.options import Options
from runtime.run.workers import Facts
from runtime.system.package import installed_version

PLACED_S = 60
"""For a worker to get the resources that its machine has."""

FAILURES = 3
"""Failed starts of a machine's workers before it gets no more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hired:
    """A worker that is ready."""

    slot: Slot
    actor: Any


class Hirer:
    """Starts workers.

    Args:
        ray: the module, connected.
        options: what is asked for; each worker gets its share of threads and memory.
        make_builder: makes what builds missing TensorRT engines.
        progress: told of what goes wrong.
    """

    facts: Facts
    """Facts that all workers agree on; known once one is hired."""

    def __init__(
        self,
        ray: Any,
        options: Options,
        make_builder: Callable[[], BuildEngine] | None,
        progress: Progress,
    ) -> None:
        self._ray = ray
        self._options = options
        self._make_builder = make_builder
        self._progress = progress
        self.known: set[str] = set()
        """Machines that have been given workers, by Ray's names for them."""
        self._failures: Counter[str] = Counter()
        self._first = True

    def hire(self, slots: Sequence[Slot]) -> list[Hired]:
        """Start a worker in every slot, all at the same time.

        Raises:
            DggnError: none could be started, or they are of another version or model.
        """
        self.known |= {slot.node.node_id for slot in slots}
        started = [Hired(slot=slot, actor=self._start(slot)) for slot in slots]
        placed = self._placed(started)
        if self._first and not placed:
            raise EnvironmentProblem(
                f"the cluster gave no worker its resources within {PLACED_S} s: others are using "
                "them. See `ray status`"
            )
        opening = [(worker, worker.actor.open.remote()) for worker in placed]
        ready = [worker for worker, opened in opening if self._agrees(worker, opened)]
        if self._first:
            raise EnvironmentProblem(
                "no worker could be started: see the messages above, and Ray's logs"
            )
        return ready

    def replace(self, lost: Hired) -> list[Hired]:
        """Replace a lost worker, if its machine is still available."""
        self._part(lost.actor)
        node_id = lost.slot.node.node_id
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        if node_id not in alive or self._failures[node_id] >= FAILURES:
            return []
        return self.hire([lost.slot])

    def comes_back(self, worker: Hired, *, within_s: float, stop: threading.Event) -> bool:
        """Wait for a worker that cannot be reached, and return whether it is back."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not stop.is_set():
            try:
                self._ray.get(_control(worker.actor.hello).remote(), timeout=5)
            except self._ray.exceptions.GetTimeoutError:
                continue
            except self._ray.exceptions.ActorUnavailableError:
                stop.wait(1)
            except self._ray.exceptions.RayError:
                return False
            else:
                return True
        return False

    def dismiss(self, workers: Sequence[Hired], *, within_s: float) -> None:
        """Cancel workers, and stop them."""
        try:
            stopping = [_control(worker.actor.stop).remote() for worker in workers]
            if stopping:
                self._ray.wait(stopping, num_returns=len(stopping), timeout=within_s)
        finally:
            for worker in workers:
                self._part(worker.actor)

    def _start(self, slot: Slot) -> Any:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            node_id=slot.node.node_id, soft=False
        )
        remote = self._ray.remote(
            num_cpus=slot.cpus,
            num_gpus=slot.gpus,
            max_restarts=0,
            scheduling_strategy=strategy,
            concurrency_groups={"control": 1},
        )(Worker)
        request = replace(
            self._options.request,
            threads=self._options.request.threads or max(1, slot.cpus),
            build=None,
            say=_unheard,
        )
        options = replace(
            self._options,
            request=request,
            memory_bytes=slot.memory_bytes or None,
            page=None,
            jobs=self._options.jobs or max(1, slot.cpus if slot.gpus else slot.cpus // 2),
        )
        return remote.remote(options, self._make_builder)

    def _placed(self, workers: Sequence[Hired]) -> list[Hired]:
        """Return the workers that got their resources, without waiting for the others."""
        hellos = {_control(worker.actor.hello).remote(): worker for worker in workers}
        ready, late = self._ray.wait(
            list(hellos), num_returns=len(hellos), timeout=PLACED_S, fetch_local=False
        )
        for reference in late:
            self._part(hellos[reference].actor)
            self._progress.say(
                f"{hellos[reference].slot.node.host} has no free resources for a worker"
            )
        return [hellos[reference] for reference in ready]

    def _agrees(self, worker: Hired, opened: Any) -> bool:
        """Return whether a worker is ready, with the same version and model.

        Raises:
            DggnError: it never will be, and neither will others.
        """
        node = worker.slot.node
        try:
            answer: Opened | DggnError = self._ray.get(opened)
        except self._ray.exceptions.RayError as error:
            self._failures[node.node_id] += 1
            reason = str(error).strip().partition("\n")[0]
            self._progress.say(f"a worker on {node.host} exited while starting: {reason}")
            return False
        if isinstance(answer, DggnError):
            raise said_by(node.host, answer)
        if answer.version != installed_version():
            raise EnvironmentProblem(
                f"{node.host} has dggn {answer.version}, and this machine {installed_version()}: "
                "install one version on all machines"
            )
        if self._first:
            self.facts, self._first = answer.facts, False
        wanted, found = self.facts, answer.facts
        if (wanted.model_sha256, wanted.tile_size, wanted.overlap) != (
            found.model_sha256,
            found.tile_size,
            found.overlap,
        ):
            raise EnvironmentProblem(
                f"the model on {node.host} is not that of the other machines: put one file in "
                "place on all of them"
            )
        return True

    def _part(self, actor: Any) -> None:
        # It may be gone already.
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor, no_restart=True)


def said_by(host: str, error: DggnError) -> DggnError:
    """Return a worker's error with the name of its machine."""
    error.args = (f"on {host}: {error}", *error.args[1:])
    return error


def _control(method: Any) -> Any:
    """Return a call that a worker answers while it is upscaling."""
    return method.options(concurrency_group="control")


def _unheard(line: str) -> None:
    """Discard a message, which the first worker has reported."""
