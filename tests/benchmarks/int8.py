"""Times INT8 models against float32 on ONNX Runtime's CPU provider, alternating.

    python tests/benchmarks/int8.py FLOAT.onnx INT8.onnx... [--runs 15] [--size 256 256]
        [--photo FILE] [--threads N] [--profile]

Every round runs each model once on the same picture; printed are the medians, and the median of
the ratios within a round, as Markdown. The picture is one tile of noise; with `--photo` it is that
file, in tiles of the default size that overlap by what each model needs. With `--profile`, ONNX
Runtime's own profile follows: the time of each kind of kernel in each model, so that one sees
where INT8 is lost.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from runtime.model.info import ModelInfo
from runtime.system.cores import usable_cores
from runtime.upscaler import Upscaler


def open_session(path: Path, threads: int, profile: Path | None = None) -> Any:
    """Open a session like the runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def picture(session: Any, size_hw: tuple[int, int]) -> NDArray[Any]:
    """Noise, in the form that the model takes: speed does not depend on the values."""
    info = ModelInfo.from_metadata(session.get_modelmeta().custom_metadata_map, where="the model")
    random = np.random.default_rng(0)
    if info.sample_type == "uint8":
        return random.integers(0, 256, (1, *size_hw, 3), np.uint8)
    return random.random((1, 3, *size_hw), np.float32)


def on_noise(path: Path, size_hw: tuple[int, int], threads: int) -> Callable[[], object]:
    """Runs a model on one tile of noise."""
    session = open_session(path, threads)
    feed = {"input": picture(session, size_hw)}
    return lambda: session.run(None, feed)


def on_photo(path: Path, photo: Path, threads: int) -> Callable[[], object]:
    """Runs a model on a photograph, as dggn-run does."""
    upscaler = Upscaler(path, threads=threads, backend="cpu")
    with Image.open(photo) as image:
        image_hwc = np.asarray(image.convert("RGB"))
    return lambda: upscaler(image_hwc)


def alternate(works: list[Callable[[], object]], runs: int) -> list[list[float]]:
    """Seconds of every run, by model."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, values in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            values.append(time.perf_counter() - start)
    return seconds


def kernels(path: Path, runs: int, size_hw: tuple[int, int], threads: int) -> dict[str, float]:
    """Milliseconds of each kind of kernel in one run, the fastest of each node."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, threads, Path(folder) / "profile")
        feed = {"input": picture(session, size_hw)}
        for _ in range(runs):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    fastest: dict[tuple[str, str], float] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = (event["args"]["op_name"], event["name"])
            fastest[key] = min(event["dur"] / 1e3, fastest.get(key, float("inf")))
    total: dict[str, float] = defaultdict(float)
    for (kind, _), milliseconds in fastest.items():
        total[kind] += milliseconds
    return total


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--size", nargs=2, type=int, default=(256, 256), metavar=("H", "W"))
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    size_hw = (arguments.size[0], arguments.size[1])
    seconds = alternate(
        [
            on_photo(path, arguments.photo, arguments.threads)
            if arguments.photo
            else on_noise(path, size_hw, arguments.threads)
            for path in arguments.models
        ],
        arguments.runs,
    )
    what = arguments.photo.name if arguments.photo else f"{size_hw[0]}x{size_hw[1]} px"
    print(
        f"{what}, {arguments.runs} rounds, {arguments.threads} threads, "
        f"Python {platform.python_version()}, onnxruntime {version('onnxruntime')}"
    )
    print()
    print("| model | size | median | against the first |")
    print("| --- | --- | --- | --- |")
    for path, values in zip(arguments.models, seconds, strict=True):
        ratio = statistics.median(a / b for a, b in zip(seconds[0], values, strict=True))
        print(
            f"| {path.name} | {path.stat().st_size / 1e6:.2f} MB | "
            f"{1e3 * statistics.median(values):.0f} ms | {ratio:.2f} times as fast |"
        )
    if arguments.profile:
        columns = [
            kernels(path, arguments.runs, size_hw, arguments.threads) for path in arguments.models
        ]
        kinds = sorted({kind for column in columns for kind in column})
        kinds.sort(key=lambda kind: -max(column.get(kind, 0.0) for column in columns))
        print()
        print("| kernel | " + " | ".join(f"{path.name} (ms)" for path in arguments.models) + " |")
        print("| --- |" + " --- |" * len(columns))
        for kind in [kind for kind in kinds if max(c.get(kind, 0.0) for c in columns) >= 0.1]:
            cells = " | ".join(f"{column.get(kind, 0.0):.1f}" for column in columns)
            print(f"| {kind} | {cells} |")
        totals = " | ".join(f"{sum(column.values()):.1f}" for column in columns)
        print(f"| all | {totals} |")


if __name__ == "__main__":
    main()
