from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import posix_only
from tests.support.processes import run as run_command

COMMAND = [
    sys.executable,
    "-c",
    "from export.cli import app; app(prog_name='dggn-export')",
]


def environment(folder: Path) -> dict[str, str]:
    # A machine without a GPU, whatever this one has.
    return {**os.environ, "DGGN_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""}


def run(*arguments: str, folder: Path, first: str = "") -> subprocess.CompletedProcess[str]:
    python, flag, code = COMMAND
    return run_command(
        [python, flag, first + code, *arguments], cwd=folder, env=environment(folder)
    )


def test_without_a_gpu_there_is_an_explanation(tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings", reason="needs the trt or rtx extra")
    done = run("trt", "--fp16", folder=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("dggn-export: TensorRT needs an NVIDIA GPU, and there is none")
    assert "--target sm86,sm89,sm120" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_bare_installation_names_the_extra(tmp_path: Path) -> None:
    block = (
        "import sys\n"
        "for name in ('cuda', 'cuda.bindings', 'tensorrt', 'tensorrt_rtx'):\n"
        "    sys.modules[name] = None\n"
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name.startswith('tensorrt') "
        "else find(name, *rest)\n"
    )
    for arguments, extra in ((["trt"], "dggn[trt]"), (["trt", "--target", "sm86"], "dggn[rtx]")):
        done = run(*arguments, folder=tmp_path, first=block)
        assert done.returncode == 3, done.stderr
        assert extra in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fp16", "--int8"), "fp16 and int8 were both requested"),
        (("--precision", "fp32", "--fp16"), "fp16 and fp32 were both requested"),
        (("--flavor", "tensorrt", "--target", "sm86"), "--target is for TensorRT-RTX"),
        (("-o", "x.onnx", "--target", "sm86"), "x.onnx does not end in .engine"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("trt", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_inspecting_no_engine(tmp_path: Path) -> None:
    done = run("inspect", "x.engine", folder=tmp_path)
    assert done.returncode == 2
    assert "x.engine does not exist" in done.stderr


@pytest.mark.slow
def test_an_engine_for_other_machines(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")
    pytest.importorskip("onnx", reason="needs the rtx extra")
    arguments = ("trt", "--fp16", "--target", "sm86,sm120", "-o", "x.engine")
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("x.engine: built with TensorRT-RTX ")
    assert "for sm86, sm120 in fp16" in done.stdout
    assert "unverified" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.engine", "x.engine.json"]
    again = run(*arguments, folder=tmp_path)
    assert "up to date" in again.stdout
    shown = run("inspect", "x.engine", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "sm86, sm120" in shown.stdout
    assert "dggn-photo, x4" in shown.stdout


CTRL_C_IN_THE_BUILD = """
import os, signal
from export.trt.builder import interrupt
real = interrupt.build_plan
def build_plan(library, graph, request, *, on_progress, cancelled):
    def pressed(what, share):
        if not cancelled.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            cancelled.wait(60)  # or the build may end before this thread lets the other one hear
        on_progress(what, share)
    return real(library, graph, request, on_progress=pressed, cancelled=cancelled)
interrupt.build_plan = build_plan
"""


@pytest.mark.slow
@posix_only
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")
    pytest.importorskip("onnx", reason="needs the rtx extra")
    arguments = ("trt", "--fp16", "--target", "sm86", "-o", "x.engine")
    done = run(*arguments, folder=tmp_path, first=CTRL_C_IN_THE_BUILD)
    assert done.returncode == 130, done.stderr
    building, said = done.stderr.splitlines()
    assert building.startswith("building for sm86 in fp16 with TensorRT-RTX")
    assert said == "interrupted; nothing was written"
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())
