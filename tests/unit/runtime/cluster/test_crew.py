"""The driver's part, with workers that follow a script."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runtime.cluster.crew import Crew, with_one_model
from runtime.cluster.hire import Hired, Hirer
from runtime.cluster.share import Node, Slot
from runtime.cluster.worker import Made
from runtime.errors import BackendError, Cancelled, EnvironmentProblem
from runtime.jobs.ends import Files
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints, Journal
from runtime.jobs.result import FileResult
from runtime.jobs.stamp import SourceStamp
from runtime.report.progress import PlainProgress
from runtime.run.options import Options
from runtime.run.workers import Facts, Order

FACTS = Facts(
    description="a model",
    why="",
    model_name="a model",
    model_sha256="a" * 64,
    precision="float32",
    scale=4,
    tile_size=64,
    overlap=8,
)
NODE = Node(node_id="n", host="far", cpus=1, gpus=0, memory_bytes=1 << 30)
SLOT = Slot(node=NODE, cpus=1, gpus=0, memory_bytes=1 << 30)


class RayError(Exception):
    pass


class Unavailable(RayError):
    pass


class Results:
    """Result of a streaming Ray call; it is its own reference."""

    def __init__(self, results: Iterator[Any]) -> None:
        self._results = results

    def __next__(self) -> Any:
        return next(self._results)


class Ray:
    exceptions = SimpleNamespace(RayError=RayError, ActorUnavailableError=Unavailable)

    def wait(self, waiting: Sequence[Any], **options: Any) -> tuple[Sequence[Any], Sequence[Any]]:
        return waiting[:1], waiting[1:]

    def get(self, reference: Any) -> Any:
        if isinstance(reference, RayError):
            raise reference
        return reference


Behaviour = Callable[[str], Any]
"""The result of a picture, by its name; an error of Ray ends the worker."""


class Actor:
    def __init__(self, behaviour: Behaviour, chunks: list[list[str]]) -> None:
        def remote(jobs: Sequence[Job], *rest: Any, **options: Any) -> Results:
            chunks.append([job.name for job in jobs])
            return Results(iter([behaviour(job.name) for job in jobs]))

        self.upscale = SimpleNamespace(options=lambda **options: SimpleNamespace(remote=remote))


class Hiring:
    """Replaces `Hirer`."""

    facts = FACTS

    def __init__(self, behaviour: Behaviour, *, returns: bool, replaces: bool) -> None:
        self.chunks: list[list[str]] = []
        self.hired = 0
        self._behaviour, self._returns, self._replaces = behaviour, returns, replaces

    def hire(self, slots: Sequence[Slot]) -> list[Hired]:
        self.hired += len(slots)
        return [Hired(slot=slot, actor=Actor(self._behaviour, self.chunks)) for slot in slots]

    def replace(self, lost: Hired) -> list[Hired]:
        return self.hire([lost.slot]) if self._replaces else []

    def comes_back(self, worker: Hired, **options: Any) -> bool:
        return self._returns

    def dismiss(self, workers: Sequence[Hired], **options: Any) -> None:
        pass


def made(name: str) -> Made:
    result = FileResult(name=name, status="done", source_size_hw=(1, 1), target_size_hw=(4, 4))
    return Made(result=result, stamp=SourceStamp.unread(name), output_bytes=3)


class Run:
    """Run over pictures with such workers."""

    def __init__(
        self, tmp_path: Path, behaviour: Behaviour, *, returns: bool = True, replaces: bool = True
    ) -> None:
        self.hiring = Hiring(behaviour, returns=returns, replaces=replaces)
        self.stream = io.StringIO()
        self._folder = tmp_path
        ray: Any = Ray()
        progress = PlainProgress(self.stream)
        hirer = cast(Hirer, self.hiring)
        self.crew = Crew(ray, hirer, progress, lambda: [SLOT], list, threading.Event())

    def over(self, *names: str) -> list[FileResult]:
        out = self._folder / "out"
        out.mkdir(exist_ok=True)
        jobs = [Job(source=self._folder / name, target=out / name, name=name) for name in names]
        with Journal(out) as journal:
            fingerprints = Fingerprints(pictures="p", clips="c")
            order = Order(
                source=Files(), journal=journal, fingerprints=fingerprints, previews=False
            )
            return list(self.crew.run(jobs, order))


def once(error: RayError) -> Behaviour:
    """Fail at the first try of the second picture."""
    met: list[str] = []

    def behaviour(name: str) -> Any:
        if name == "b.png" and not met:
            met.append(name)
            return error
        return made(name)

    return behaviour


NAMES = ("a.png", "b.png", "c.png", "d.png")


def done(results: list[FileResult]) -> list[str]:
    return sorted(result.name for result in results if result.status == "done")


def test_results_come_and_are_recorded(tmp_path: Path) -> None:
    run = Run(tmp_path, made)
    results = run.over(*NAMES)
    assert done(results) == list(NAMES)
    assert results[0].target == str(tmp_path / "out/a.png")
    lines = (tmp_path / "out/.dggn-run.jsonl").read_text().splitlines()
    assert sum('"output_bytes": 3' in line for line in lines) == len(NAMES)
    assert run.crew.facts.description == "1 worker on 1 machine: a model"


def test_a_worker_that_cannot_be_reached_is_waited_for(tmp_path: Path) -> None:
    run = Run(tmp_path, once(Unavailable()))
    assert done(run.over(*NAMES)) == list(NAMES)
    assert run.hiring.hired == 1
    assert "was lost" not in run.stream.getvalue()


@pytest.mark.parametrize("error", [RayError("gone"), Unavailable("for ever")])
def test_a_lost_worker_is_replaced_and_its_pictures_redone_alone(
    tmp_path: Path, error: RayError
) -> None:
    run = Run(tmp_path, once(error), returns=False)
    assert done(run.over(*NAMES)) == list(NAMES)
    assert run.hiring.hired == 2
    assert ["b.png"] in run.hiring.chunks
    assert "a worker on far was lost" in run.stream.getvalue()


def test_a_picture_that_ends_three_workers_fails(tmp_path: Path) -> None:
    run = Run(tmp_path, lambda name: RayError() if name == "b.png" else made(name))
    results = run.over(*NAMES)
    assert done(results) == ["a.png", "c.png", "d.png"]
    (failed,) = [result for result in results if result.status == "failed"]
    assert (failed.name, run.hiring.hired) == ("b.png", 4)
    assert "it ended 3 workers" in failed.message


def test_without_workers_the_run_ends(tmp_path: Path) -> None:
    run = Run(tmp_path, once(RayError()), replaces=False)
    with pytest.raises(EnvironmentProblem, match="no worker of the cluster is left"):
        run.over(*NAMES)


def test_an_error_of_a_worker_says_where(tmp_path: Path) -> None:
    run = Run(tmp_path, lambda name: BackendError("it is broken"))
    with pytest.raises(BackendError, match="on far: it is broken"):
        run.over(*NAMES)


def test_cancelling(tmp_path: Path) -> None:
    run = Run(tmp_path, made)
    told: list[bool] = []
    run.crew.when_cancelled = lambda: told.append(True)
    run.crew.cancel(within_s=1)
    with pytest.raises(Cancelled):
        run.over(*NAMES)
    assert told


def test_workers_that_a_cancel_ends_are_not_replaced(tmp_path: Path) -> None:
    def behaviour(name: str) -> Any:
        run.crew.cancel(within_s=1)
        return RayError()

    run = Run(tmp_path, behaviour)
    with pytest.raises(Cancelled):
        run.over(*NAMES)
    assert run.hiring.hired == 1
    assert "was lost" not in run.stream.getvalue()


def test_all_workers_get_one_model() -> None:
    gpu = replace(SLOT, gpus=1)
    options = Options(source=Path("in"), target=Path("out"))

    def model(slots: Sequence[Slot], **changed: Any) -> str | None:
        return with_one_model(replace(options, **changed), slots).model

    assert model([gpu, gpu]) == "dggn-photo"
    assert model([gpu, SLOT]) == "dggn-lite-photo"
    assert model([gpu], denoise=0.5) == "dggn-lite-photo"
    assert model([gpu], model="dggn-lite") == "dggn-lite"
