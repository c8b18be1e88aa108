"""Measures every backend on a GPU: accuracy, speed, and whether the goals are met.

    python -m tests.benchmarks.bench_gpu RESULTS.md --model dggn
        [--int8 dggn-int8.onnx] [--python tensorrt=/path/to/python] [--work FOLDER]
        [--prepare-only]

Measures PyTorch (eager and compiled), ONNX Runtime on CUDA, and TensorRT, all in float16, and
TensorRT in INT8, each in a process of its own with the interpreter that has it, taking turns; then
`dggn-run` over a folder. What is not installed or does not run is listed in RESULTS.md with its
reason. `--prepare-only` writes models and pictures into the folder of --work, which takes PyTorch,
onnx and ONNX Runtime; carried to the GPU's machine, the folder spares that machine these libraries.

`--dry-run` runs all of it on the CPU at tiny sizes, stand-ins in the GPU's place.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from runtime.system.files import write_whole
from tests.benchmarks.gpu.measure import measure
from tests.benchmarks.gpu.plan import BACKENDS, FACTS_NAME, INT8_NAME, Plan
from tests.benchmarks.gpu.report import report


def main() -> None:
    """Read the command line, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="Markdown file to write")
    parser.add_argument("--model", help="shipped name or ONNX file [an untrained flagship]")
    parser.add_argument(
        "--int8", type=Path, help="its INT8 version, of `dggn-calibrate --target tensorrt`"
    )
    parser.add_argument(
        "--python", action="append", default=[], metavar="BACKEND=FILE", help="its interpreter"
    )
    parser.add_argument("--work", type=Path, help="folder to keep models and pictures in")
    parser.add_argument("--prepare-only", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    for name in ("tile_px", "batch", "rounds", "photographs"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--compile-mode", help="of torch.compile [reduce-overhead]")
    options = parser.parse_args()
    pythons = dict.fromkeys(BACKENDS, sys.executable)
    for choice in options.python:
        backend, _, python = choice.partition("=")
        if backend not in BACKENDS or not python:
            parser.error(f"--python {choice}: expected one of {', '.join(BACKENDS)}, = and a file")
        pythons[backend] = python
    with tempfile.TemporaryDirectory() as temporary:
        plan = Plan(work=(options.work or Path(temporary)).resolve())
        plan = plan.tiny() if options.dry_run else plan
        sizes = ("tile_px", "batch", "rounds", "photographs", "seconds", "compile_mode")
        chosen = {name: getattr(options, name) for name in sizes}
        plan = replace(plan, **{name: value for name, value in chosen.items() if value})
        if options.prepare_only or not (plan.work / FACTS_NAME).exists():
            from tests.benchmarks.gpu.models import prepare

            prepare(plan, options.model)
        if options.int8:
            write_whole(plan.work / INT8_NAME, options.int8.read_bytes())
        if not options.prepare_only:
            command = "python -m tests.benchmarks.bench_gpu " + shlex.join(sys.argv[1:])
            write_whole(
                options.results, report(measure(plan, pythons), plan, command).encode("utf-8")
            )
            print(options.results)


if __name__ == "__main__":
    main()
