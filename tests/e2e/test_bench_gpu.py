"""The GPU benchmark's dry run: everything runs, and the results file says what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the export extra")
pytest.importorskip("onnxscript", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the export extra")

from runtime.model.info import model_path, tensorrt_model_path
from tests.support.processes import run as run_command

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_gpu", *arguments]
    return run_command(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=900)


def rows(table: str, text: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    lines = text.split(table)[1].splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| ---"))
    found = []
    for line in lines[begin + 1 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@pytest.mark.slow
def test_dry_run_measures_everything_and_says_that_it_is_none(tmp_path: Path) -> None:
    work, results = tmp_path / "work", tmp_path / "results.md"
    prepared = run("none.md", "--dry-run", "--work", str(work), "--prepare-only")
    assert prepared.returncode == 0, prepared.stderr
    assert not (ROOT / "none.md").exists()
    # An interpreter that lacks its backend's libraries.
    broken = work / "broken-python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    broken.chmod(0o755)
    done = run(
        *(str(results), "--dry-run", "--work", str(work)),
        *("--int8", str(tensorrt_model_path(model_path("dggn-lite", "int8")))),
        *("--python", f"torch.compile={broken}"),
    )
    assert done.returncode == 0, done.stderr
    text = results.read_text(encoding="utf-8")
    assert "No figure means anything" in text
    assert "- not measured: anything on a GPU" in text
    assert "dggn, torch.compile: its process ended with code 3 (no such library)" in text

    for name, psnr, within, largest in rows("## Correctness", text):
        if "traced" in name:
            assert psnr == "not measured"
        elif "INT8" in name:  # of another model: the flagship of a dry run is not trained
            assert float(psnr.removesuffix(" dB")) > 10
        else:
            assert float(psnr.removesuffix(" dB")) > 50
            assert within == "100.000 %"
            assert int(largest) <= 1
    speeds = rows("DGGN, output megapixels", text)
    assert len(speeds) == 5
    eager, traced, onnxruntime, tensorrt, int8 = (cells[1:] for cells in speeds)
    assert traced == ["not measured", "not measured", "–", "–"]
    assert eager[2:] == ["–", "–"]
    for figure in (*eager[:2], *onnxruntime, *tensorrt, *int8[:2]):
        assert float(figure) > 0
    for name, engine, copies in rows("ESRGAN's RRDB structure", text):
        if "traced" not in name and "INT8" not in name:
            assert float(engine) > 0 and float(copies) > 0
    shares = rows("## The device's best", text)
    assert [cells[0] for cells in shares[:2]] == ["matrix product", "convolution"]
    assert all(float(cells[1]) > 0 for cells in shares[:2])
    goals = rows("## Goals", text)
    assert [cells[1] for cells in goals] == ["0.47", "1.3", "0.97", "0.9", "0.9", "3.8"]
    assert goals[1][2] == "not measured"
    assert all(cells[3] == "a dry run" for cells in goals)


def test_an_unknown_backend_is_refused() -> None:
    done = run("none.md", "--dry-run", "--python", "tensorflow=python")
    assert done.returncode == 2
    assert "one of torch, torch.compile, onnxruntime, tensorrt, tensorrt.int8" in done.stderr
