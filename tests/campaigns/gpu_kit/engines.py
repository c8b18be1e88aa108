"""Measurements of the second kit, with the bundled Python and TensorRT.

python -m tests.campaigns.gpu_kit.engines WORK OUTPUT --seconds 400 [--rehearse]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runtime.backends.cuda.device import Device
from runtime.backends.trt.slots import Execution
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Backend
from tests.campaigns.gpu_kit.measure import compare, engine_only, whole_command, with_copies
from tests.campaigns.gpu_kit.places import make_photographs, open_device
from tests.campaigns.gpu_kit.stages import Stages

ORDER = ("lite", "flagship", "esrgan")
SLOTS = 3
LEAST_BUILD_S = {"lite": 30, "flagship": 90, "esrgan": 90}
"""Time left without which a build is not begun; a guess."""


class Subject:
    """One model of the kit.

    Args:
        name: of its files.
        work: folder of the unpacked cargo.
    """

    def __init__(self, name: str, work: Path) -> None:
        self.name = name
        self.graph = work / "graphs" / f"{name}.onnx"
        self.facts: dict[str, Any] = json.loads(self.graph.with_suffix(".json").read_text())
        self.info = replace(ModelInfo(**self.facts["info"]), sample_type="uint8")
        self.tiles = np.load(work / "graphs" / f"{name}-tiles.npy")
        self.expected = np.load(work / "graphs" / f"{name}-expected.npy")


class Stand:
    """TensorRT's place in a rehearsal: ONNX Runtime on the CPU, over the same slots."""

    def build(self, subject: Subject, out: dict[str, Any]) -> None:
        """Nothing is built."""

    def device(self) -> Device:
        """The host."""
        return open_device(rehearse=True)

    def executions(self, subject: Subject) -> Callable[[int], Execution]:
        """Sessions."""
        from runtime.backends.ort_slots import SessionExecution

        return lambda number: SessionExecution(self._model(subject), None)

    def backend(self, subject: Subject, graphs: bool) -> Backend:
        """The whole backend."""
        from runtime.backends.in_slots import SlotsBackend

        return SlotsBackend(
            self._model(subject),
            self.executions(subject),
            self.device(),
            description="ONNX Runtime in TensorRT's place",
            say=print,
            slots=SLOTS,
            graphs=graphs,
        )

    def _model(self, subject: Subject) -> Any:
        from runtime.backends.in_slots import SlotModel

        return SlotModel(
            path=subject.graph,
            info=subject.info,
            precision="float16",
            tile_px=subject.facts["tile_px"],
            batch=subject.facts["batch"],
        )


class TensorRt:
    """The TensorRT that came along.

    Args:
        folder: for engines.
    """

    def __init__(self, folder: Path) -> None:
        from runtime.backends.gpu import require_gpu
        from runtime.backends.trt.library import find_library

        self.library = find_library("tensorrt")
        self.gpu = require_gpu(0)
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._files: dict[str, Any] = {}
        self._engine: Any = None

    def build(self, subject: Subject, out: dict[str, Any]) -> None:
        """Build its engine, with a profile for each slot."""
        from export.trt.builder.plan import Graph, build_plan, profile_count
        from runtime.backends.trt.backend import EngineFile
        from runtime.backends.trt.engine_facts import EngineFacts
        from runtime.backends.trt.engine_file import write_engine
        from runtime.backends.trt.request import EngineRequest

        side, batch = subject.facts["tile_px"], subject.facts["batch"]
        least = subject.info.size_multiple_px
        graph = Graph(
            content=subject.graph.read_bytes(),
            least_px=least,
            float32_layers=frozenset(subject.facts["float32_layers"]),
        )
        request = EngineRequest(
            flavor="tensorrt",
            precision="fp16",
            sample_type="uint8",
            tile_px=side,
            batch=batch,
            targets=(self.gpu.sm,),
        )
        plan = build_plan(
            self.library,
            graph,
            request,
            on_progress=lambda what, share: None,
            cancelled=threading.Event(),
        )
        facts = EngineFacts(
            onnx_sha256=hashlib.sha256(graph.content).hexdigest(),
            onnx_name=subject.graph.name,
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            plan_bytes=len(plan),
            request=request,
            precision=request.precision,
            tile_px=side,
            batch=batch,
            library_version=self.library.version,
            gpu_name=self.gpu.name,
            cuda_version=self.gpu.cuda_version,
            least_px=least,
            profiles=profile_count(self.library),
            info=subject.info,
            largest_activation=None,
            verification=None,
        )
        path = self._folder / f"{subject.name}.engine"
        write_engine(path, plan, facts)
        self._files[subject.name] = EngineFile(path=path, facts=facts)
        out["plan_mb"] = round(len(plan) / 1e6, 1)

    def device(self) -> Device:
        """The GPU."""
        return open_device(rehearse=False)

    def executions(self, subject: Subject) -> Callable[[int], Execution]:
        """Execution contexts of one engine, which stays open as long as its device."""
        from runtime.backends.trt.engine import Engine

        file = self._files[subject.name]
        engines: list[Engine] = []

        def execution(number: int) -> Execution:
            if not engines:
                engines.append(Engine(self.library, file.path, file.facts))
            return engines[0].execution(number)

        return execution

    def backend(self, subject: Subject, graphs: bool) -> Backend:
        """The whole backend."""
        from runtime.backends.trt.backend import TrtBackend

        return TrtBackend(
            self._files[subject.name],
            self.library,
            self.device(),
            self.gpu,
            say=print,
            slots=SLOTS,
            graphs=graphs,
        )


def main() -> None:
    """Measure all models in their order, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    stages = Stages(options.output / "second.json", options.seconds)
    found: list[Stand | TensorRt] = []

    def load(out: dict[str, Any]) -> None:
        from runtime.backends.trt.library import find_library

        out["library"] = find_library("tensorrt").name

    def read(out: dict[str, Any]) -> None:
        for name in ORDER:
            subject = Subject(name, options.work)
            out[name] = f"{len(subject.tiles)} tiles of {subject.facts['tile_px']} px"

    def start(out: dict[str, Any]) -> None:
        found.append(Stand() if options.rehearse else TensorRt(options.work / "engines"))
        if isinstance(found[0], TensorRt):
            out["gpu"] = found[0].gpu.name

    if not options.rehearse:
        stages.run("TensorRT", load)
    stages.run("graphs", read)
    stages.run("start", start)
    problems = stages.found["problems"]
    if problems:
        passed = [name for name in stages.found["seconds"] if name not in problems]
        raise SystemExit(
            f"nothing was built or measured: {'; '.join(problems.values())}. "
            f"Done before: unpacking, {', '.join(passed) or 'nothing else'}"
        )
    built = []
    for name in ORDER:
        subject = Subject(name, options.work)
        needs_s = 0 if options.rehearse else LEAST_BUILD_S[name]
        stages.run(f"{name}, build", partial(found[0].build, subject), needs_s=needs_s)
        if f"{name}, build" in problems:
            continue
        built.append(subject)
        _measure(stages, found[0], subject, options, graphs=False)
        if name != "esrgan":
            _measure_command(stages, found[0], subject, options)
    # Last, for a fault of a graph, which TensorRT 8 is known for, ends all that the process can do.
    for subject in () if options.rehearse else built:
        _measure(stages, found[0], subject, options, graphs=True)


def _measure(
    stages: Stages,
    library: Stand | TensorRt,
    subject: Subject,
    options: argparse.Namespace,
    *,
    graphs: bool,
) -> None:
    seconds = 0.01 if options.rehearse else 2.0
    how = "graphs" if graphs else "no graphs"

    def slots(out: dict[str, Any]) -> None:
        with library.backend(subject, graphs) as backend:
            out |= compare(backend, subject.tiles, subject.expected)
            out["with_copies_mp_per_s"] = with_copies(backend, subject.tiles, seconds)

    def engine(out: dict[str, Any]) -> None:
        device = library.device()
        out["mp_per_s"] = engine_only(
            device,
            library.executions(subject),
            subject.tiles,
            subject.info.scale,
            slots=SLOTS,
            graphs=graphs,
            seconds=seconds,
        )
        device.close()

    stages.run(f"{subject.name}, with copies, {how}", slots)
    stages.run(f"{subject.name}, engine only, {how}", engine)


def _measure_command(
    stages: Stages, library: Stand | TensorRt, subject: Subject, options: argparse.Namespace
) -> None:
    def command(out: dict[str, Any]) -> None:
        photographs = make_photographs(options.work / "photographs", rehearse=options.rehearse)
        for kind in ("png", "jpg"):
            for attempt in ("first", "second"):
                out[f"{kind}, {attempt}"] = whole_command(
                    lambda: library.backend(subject, False),
                    subject.graph,
                    photographs,
                    options.work / f"out-{subject.name}-{kind}",
                    kind,
                )

    stages.run(f"{subject.name}, dggn-run", command)


if __name__ == "__main__":
    main()
