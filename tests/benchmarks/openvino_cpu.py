"""Times pictures on CPUs: OpenVINO against ONNX Runtime, alternating in one run.

    python -m tests.benchmarks.openvino_cpu PHOTOGRAPHS [--side 648] [--teachers FOLDER]
        [--also FILE.onnx]... [--output RESULT.md]

Three tables, as Markdown: the whole `dggn-run` over 12 photographs with PNG written, beside bare
OpenVINO inference of the same tiles, with the goals; output megapixels per second of `dggn-lite`,
of `dggn`, of SRVGG (random weights), of Real-ESRGAN x4plus
(`realesrgan-x4plus.safetensors` in FOLDER) and of further files; and what several streams would
give.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.openvino import model as openvino_model
from runtime.backends.openvino.library import require_device
from runtime.backends.openvino.model import OpenVinoModel
from runtime.backends.openvino.open import open_openvino
from runtime.image.picture import Samples
from runtime.model.info import WantedPrecision, model_path
from runtime.system.cores import usable_cores
from runtime.tiles.backend import Backend
from runtime.tiles.plan import default_tile_px
from runtime.tiles.stitch import plan_for
from tests.benchmarks.folder_throughput import LONG_SIDE_PX, make_photographs
from tests.benchmarks.openvino_models import (
    REAL_ESRGAN,
    SRVGG,
    write_real_esrgan,
    write_srvgg,
)

LITE, FLAGSHIP = "dggn-lite", "dggn"
TILE_PX = 256

Results = dict[str, list[float]]
"""Seconds, or megapixels per second, of each way, in the order of the runs."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Limit for the ratio of two ways, taken run by run."""

    text: str
    of: str
    over: str
    least: float = 0.0
    most: float = float("inf")


COMMANDS = {
    "ONNX Runtime, float32": ("--backend", "onnxruntime"),
    "OpenVINO, float32": ("--backend", "openvino", "--precision", "float32"),
    "OpenVINO, auto": ("--backend", "openvino"),
    "ONNX Runtime, INT8": ("--backend", "onnxruntime", "--precision", "int8"),
}
BARE = "bare inference, OpenVINO, auto"
ORT, OV32, OV, INT8 = COMMANDS

MEASURED = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a command from a small process: Linux counts the memory of the process that starts one as
its own, and this one has loaded PyTorch.
"""

GOALS = (
    Goal(text="auto against ONNX Runtime float32", of=ORT, over=OV, least=3.0),
    Goal(text="float32 against ONNX Runtime float32", of=ORT, over=OV32, least=1.3),
    Goal(text="command over bare inference", of=OV, over=BARE, most=1.15),
)
MEMORY_GOAL = 1.2
MEMORY_OF_0_1_MB = 621
"""Peak memory of version 0.1, with its `dggn-lite` on ONNX Runtime, on the same photographs."""


def command(folder: Path, output: Path, options: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and peak MB of the whole command, PNG written."""
    line = [sys.executable, "-c", "from runtime.cli import app; app()"]
    line += [str(folder), str(output), "--format", "png", "--quiet", *options]
    process = subprocess.run([sys.executable, "-c", MEASURED, *line], stdout=subprocess.PIPE)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(line)}")
    seconds, peak_kb = process.stdout.split()[-2:]
    return float(seconds), float(peak_kb) / 1024


def tiles_of(paths: list[Path], backend: Backend) -> list[Samples]:
    """The tiles that dggn-run would cut, (1, H, W, 3) each."""
    info = backend.info
    tiles = []
    for path in paths:
        with Image.open(path) as opened:
            image = np.asarray(opened.convert("RGB"))
        plan = plan_for(
            (image.shape[0], image.shape[1]),
            backend,
            tile_size=default_tile_px(info.halo_px),
            overlap=info.halo_px,
        )
        height, width = plan.padded_hw
        padding = ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0))
        padded = np.pad(image, padding, mode="edge")
        tiles += [np.array(padded[tile.fed][None], order="C") for tile in plan]
    return tiles


def bare_s(paths: list[Path]) -> float:
    """Time OpenVINO's own `infer` over the same tiles, in the precision that `auto` chooses."""
    onnx = model_path(LITE)
    with opened(onnx, None) as backend:
        computed, tiles = backend.precision, tiles_of(paths, backend)
    model = OpenVinoModel(onnx, device=require_device("CPU"), threads=usable_cores(), cache=None)
    assert computed in ("float32", "bfloat16")
    request = model.compile(np.uint8, computed).create_infer_request()  # type: ignore[arg-type]
    request.infer([tiles[0]])
    began = time.perf_counter()
    for tile in tiles:
        request.infer([tile], share_inputs=True)
    return time.perf_counter() - began


def opened(onnx: Path, precision: WantedPrecision | None) -> Backend:
    """An OpenVINO backend on all cores."""
    return open_openvino(
        onnx,
        precision=precision,
        say=lambda line: print(line, file=sys.stderr),
        open_reference=lambda: OrtBackend(onnx, where="cpu"),
    )


def measure_commands(paths: list[Path], runs: int, work: Path) -> tuple[Results, Results]:
    """Seconds and peak MB of each whole command, and of bare inference."""
    seconds: Results = defaultdict(list)
    peaks: Results = defaultdict(list)
    folder = paths[0].parent
    for options in COMMANDS.values():  # verified and compiled before anything is timed
        command(folder, work / "first", (*options, "--overwrite"))
    for run in range(runs):
        for name, options in COMMANDS.items():
            took, peak = command(folder, work / f"{run}-{len(seconds)}-{name}", options)
            seconds[name].append(took)
            peaks[name].append(peak)
        seconds[BARE].append(bare_s(paths))
        latest = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items())
        print(latest, file=sys.stderr)
    return seconds, peaks


def speed(backend: Backend, tiles: int) -> float:
    """Output megapixels per second over equal tiles, after a warm-up."""
    tile = np.random.default_rng(0).integers(0, 256, (TILE_PX, TILE_PX, 3), np.uint8)
    backend.submit(tile, lambda result: None)
    backend.finish()
    began = time.perf_counter()
    for _ in range(tiles):
        backend.submit(tile, lambda result: None)
    backend.finish()
    pixels = tiles * (TILE_PX * backend.info.scale) ** 2
    return pixels / 1e6 / (time.perf_counter() - began)


def measure_ways(ways: dict[str, Callable[[], Backend]], runs: int, tiles: int) -> Results:
    """Megapixels per second of several backends, alternating."""
    found: Results = defaultdict(list)
    for _ in range(runs):
        for name, open_backend in ways.items():
            with open_backend() as backend:
                found[name].append(speed(backend, tiles))
            print(f"{name}: {found[name][-1]:.2f} MP/s", file=sys.stderr)
    return found


def is_small(onnx: Path) -> bool:
    """Whether a tile takes less than a second on any backend."""
    return onnx.stat().st_size < 10_000_000


def ways_of(onnx: Path) -> dict[str, Callable[[], Backend]]:
    """ONNX Runtime in float32, OpenVINO in float32, and in the precision that `auto` chooses."""
    return {
        "ONNX Runtime, float32": lambda: OrtBackend(onnx, where="cpu"),
        "OpenVINO, float32": lambda: opened(onnx, "float32"),
        "OpenVINO, auto": lambda: opened(onnx, None),
    }


def with_streams(streams: int, precision: WantedPrecision | None) -> Callable[[], Backend]:
    """Open the shipped model with several tiles computed at a time."""

    def open_backend() -> Backend:
        openvino_model.STREAMS = streams
        return opened(model_path(LITE), precision)

    return open_backend


def command_lines(seconds: Results, peaks: Results, megapixels: float) -> Iterator[str]:
    """The first table, and whether the goals are met."""
    yield "| | median | output | peak memory | runs |"
    yield "| --- | --- | --- | --- | --- |"
    for name, values in seconds.items():
        median = statistics.median(values)
        peak = f"{max(peaks[name]):.0f} MB" if name in peaks else ""
        each = ", ".join(f"{value:.2f}" for value in values)
        yield f"| {name} | {median:.2f} s | {16 * megapixels / median:.2f} MP/s | {peak} | {each} |"
    yield ""
    yield "| goal | bound | reached |"
    yield "| --- | --- | --- |"
    for goal in GOALS:
        pairs = zip(seconds[goal.of], seconds[goal.over], strict=True)
        ratio = statistics.median(of / over for of, over in pairs)
        bound = f"at least {goal.least}" if goal.least else f"at most {goal.most}"
        met = "yes" if goal.least <= ratio <= goal.most else "**no**"
        yield f"| {goal.text} | {bound} | {ratio:.3f}: {met} |"
    ratio = max(peaks[OV]) / MEMORY_OF_0_1_MB
    met = "yes" if ratio <= MEMORY_GOAL else "**no**"
    against = f"0.1 with ONNX Runtime ({MEMORY_OF_0_1_MB} MB)"
    yield f"| peak memory, auto over {against} | at most {MEMORY_GOAL} | {ratio:.3f}: {met} |"


def speed_lines(title: str, tables: dict[str, Results]) -> Iterator[str]:
    """Medians of output megapixels per second: a row for each model, a column for each way."""
    columns = list(next(iter(tables.values())))
    yield f"| {title} | {' | '.join(columns)} |"
    yield "| --- |" + " --- |" * len(columns)
    for name, found in tables.items():
        cells = (f"{statistics.median(found[column]):.3f}" for column in columns)
        yield f"| {name} | {' | '.join(cells)} |"


def measure(arguments: argparse.Namespace, work: Path) -> Iterator[str]:
    """All of it, as lines of Markdown."""
    packages = ("openvino", "onnxruntime", "numpy", "pillow", "isal")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    yield f"{require_device('CPU').full_name}, {usable_cores()} cores, {versions}"
    yield f"and Python {platform.python_version()}."
    yield ""
    folder = work / "in"
    folder.mkdir()
    paths = make_photographs(arguments.photographs, folder, arguments.side)
    for path in paths[arguments.pictures :]:
        path.unlink()
    paths = paths[: arguments.pictures]
    sizes = [Image.open(path).size for path in paths]
    megapixels = sum(width * height for width, height in sizes) / 1e6
    yield f"## `dggn-run` over {len(paths)} photographs, {megapixels:.2f} LR megapixels"
    yield ""
    yield from command_lines(*measure_commands(paths, arguments.runs, work), megapixels)
    yield ""
    yield f"## Output megapixels per second, tiles of {TILE_PX}"
    yield ""
    models = {LITE: model_path(LITE), SRVGG: write_srvgg(work), FLAGSHIP: model_path(FLAGSHIP)}
    models |= {path.stem: path for path in arguments.also}
    weights = arguments.teachers / "realesrgan-x4plus.safetensors"
    if weights.is_file():
        models[REAL_ESRGAN] = write_real_esrgan(weights, work)
    tables = {
        name: measure_ways(ways_of(onnx), arguments.runs, arguments.tiles if is_small(onnx) else 1)
        for name, onnx in models.items()
    }
    yield from speed_lines("model", tables)
    if REAL_ESRGAN not in models:
        yield ""
        yield f"{REAL_ESRGAN} is left out: there is no {weights.name}."
    yield ""
    yield f"## Streams, {LITE}"
    yield ""
    precisions: tuple[WantedPrecision | None, ...] = ("float32", None)
    tables = {
        precision or "auto": measure_ways(
            {f"{streams}": with_streams(streams, precision) for streams in (1, 2)},
            arguments.runs,
            arguments.tiles,
        )
        for precision in precisions
    }
    yield from speed_lines("streams", tables)


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--teachers", type=Path, default=Path("../shared/teachers"))
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="FILE.onnx")
    parser.add_argument("--side", type=int, default=LONG_SIDE_PX, help="longer side in pixels")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--tiles", type=int, default=12, help="of small networks, for each figure")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["DGGN_CACHE"] = f"{name}/cache"
        lines = list(measure(arguments, Path(name)))
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
