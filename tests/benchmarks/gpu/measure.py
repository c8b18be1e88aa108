"""All measurements of one run, alternating between the backends."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from tests.benchmarks.gpu.plan import FLAGSHIP, PHOTOGRAPHS, YARDSTICK, NotMeasured, Plan
from tests.benchmarks.gpu.process import ROOT, WorkerProcess

ENGINE, COPIES = "engine_only", "with_copies"
RATES = ("matrix product", "convolution")
NOT_WANTED = {(YARDSTICK, "torch.compile"), (YARDSTICK, "tensorrt.int8")}


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Accuracy of a backend's pictures, compared with float32."""

    psnr_db: float
    """Infinite where they are equal."""

    within_one: float
    """Share of samples within one grey level."""

    largest: int
    """Largest difference, in grey levels."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """Key of a measurement."""

    model: str
    """Its name."""

    backend: str
    """Its name."""

    what: str
    """`engine_only`, `with_copies`, or the format of the whole command's pictures."""


@dataclass(kw_only=True)
class Found:
    """All measurements, and the reasons for missing ones."""

    descriptions: dict[str, str] = field(default_factory=dict)
    """Backends with their versions."""

    accuracy: dict[str, Accuracy] = field(default_factory=dict)
    """By backend."""

    megapixels: dict[Key, list[float]] = field(default_factory=dict)
    """Output megapixels a second, one figure a round."""

    rates: dict[str, float] = field(default_factory=dict)
    """Operations a second that the device does at best."""

    problems: dict[str, str] = field(default_factory=dict)
    """Why something was not measured, by what it is."""

    def median(self, model: str, backend: str, what: str) -> float | None:
        """Median over all rounds; None if there is none."""
        figures = self.megapixels.get(Key(model=model, backend=backend, what=what))
        return statistics.median(figures) if figures else None


def measure(plan: Plan, pythons: Mapping[str, str]) -> Found:
    """Measure whatever this machine can run.

    Args:
        plan: how; its folder is prepared.
        pythons: the interpreter of each backend.
    """
    found = Found()
    with ExitStack() as owned:
        workers = [
            owned.enter_context(WorkerProcess(backend, python, plan))
            for backend, python in pythons.items()
        ]
        for name in (FLAGSHIP, YARDSTICK):
            # Compiling the yardstick takes minutes, quantizing it means nothing, and no goal asks
            # for either.
            wanted = [one for one in workers if (name, one.backend) not in NOT_WANTED]
            opened = [worker for worker in wanted if _open(worker, name, found)]
            if name == FLAGSHIP:
                _compare(plan, opened, found)
                _rates(opened, found)
            for _ in range(plan.rounds):
                for what in (ENGINE, COPIES):
                    for worker in opened:
                        _turn(plan, worker, name, what, found)
    _whole_command(plan, pythons, found)
    return found


def _open(worker: WorkerProcess, model: str, found: Found) -> bool:
    try:
        found.descriptions[worker.backend] = worker.ask("open", model)
    except NotMeasured as problem:
        found.problems[f"{model}, {worker.backend}"] = str(problem)
        return False
    return True


def _turn(plan: Plan, worker: WorkerProcess, model: str, what: str, found: Found) -> None:
    try:
        rate = worker.ask(what) * plan.batch_megapixels
    except NotMeasured as problem:
        found.problems[f"{model}, {worker.backend}, {what}"] = str(problem)
        return
    key = Key(model=model, backend=worker.backend, what=what)
    found.megapixels.setdefault(key, []).append(rate)


def _rates(workers: list[WorkerProcess], found: Found) -> None:
    for worker in workers:
        if worker.backend == "torch":
            try:
                found.rates = worker.ask("rates")
            except NotMeasured as problem:
                found.problems["rates"] = str(problem)
            return
    found.problems["rates"] = "they are measured with PyTorch, which was not"


def _compare(plan: Plan, workers: list[WorkerProcess], found: Found) -> None:
    expected = np.load(plan.work / "reference.npy").astype(np.int64)
    for worker in workers:
        try:
            result = np.load(worker.ask("infer", FLAGSHIP))
        except NotMeasured as problem:
            found.problems[f"accuracy, {worker.backend}"] = str(problem)
            continue
        difference = np.abs(result.astype(np.int64) - expected)
        error = float(np.mean(difference**2))
        found.accuracy[worker.backend] = Accuracy(
            psnr_db=10 * float(np.log10(255**2 / error)) if error else float("inf"),
            within_one=float(np.mean(difference <= 1)),
            largest=int(difference.max()),
        )


COMMANDS = {"onnxruntime": "cuda", "tensorrt": "tensorrt"}
"""Backends that the whole command has, and what it calls them."""


def _whole_command(plan: Plan, pythons: Mapping[str, str], found: Found) -> None:
    """Time `dggn-run` over the folder, including Python's start-up and loading the model."""
    for number in range(plan.rounds + 1):
        for backend, kind in product(COMMANDS, ("png", "jpg")):
            if backend not in pythons or f"{backend}, {kind}" in found.problems:
                continue
            try:
                rate = plan.facts()["megapixels"] / _command_s(
                    plan, pythons[backend], backend, kind
                )
            except NotMeasured as problem:
                found.problems[f"{backend}, {kind}"] = str(problem)
                continue
            if number:  # The first round fills caches: engines, files.
                key = Key(model=FLAGSHIP, backend=backend, what=kind)
                found.megapixels.setdefault(key, []).append(rate)


def _command_s(plan: Plan, python: str, backend: str, kind: str) -> float:
    output = plan.work / f"out-{backend}-{kind}"
    command = [python, "-c", "from runtime.cli import app; app()", str(plan.work / PHOTOGRAPHS)]
    command += [str(output), "--model", str(plan.work / f"{FLAGSHIP}.onnx")]
    command += ["--format", kind, "--quiet"]
    command += [] if plan.dry_run else ["--backend", COMMANDS[backend]]
    began_s = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    taken_s = time.perf_counter() - began_s
    shutil.rmtree(output, ignore_errors=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise NotMeasured(f"dggn-run ended with code {done.returncode} ({lines[-1]})")
    return taken_s
