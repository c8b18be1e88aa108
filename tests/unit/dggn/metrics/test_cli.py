"""Output of the subcommands for given figures; full evaluations are in tests/e2e/test_eval.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dggn.metrics import systems
from dggn.metrics.cli import app
from dggn.metrics.systems import enlarge_bicubic


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    folder = tmp_path / "Set2" / "HR"
    folder.mkdir(parents=True)
    y, x = np.mgrid[0:48, 0:64]
    hr = np.stack([3 * x, 4 * y, x + y], axis=-1).astype(np.uint8)
    for name, picture in (("one", hr), ("two", hr[::-1].copy())):
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder.parent


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], terminal_width=120)


def test_the_forms_tell_the_same(benchmark: Path) -> None:
    arguments = ("model", "bicubic", "--benchmark", benchmark)
    table = run(*arguments).stdout
    report = json.loads(run(*arguments, "--json").stdout)
    mean = report["benchmarks"][0]["mean"]["psnr_db"]
    assert f"{mean:.2f}" in table.splitlines()[-1 if table.splitlines()[-1] else -2]
    assert f"{mean:.2f}" in run(*arguments, "--markdown").stdout
    rows = run(*arguments, "--csv").stdout.splitlines()
    assert len(rows) == 4, "a header, two pictures, the mean"


def test_benchmarks_by_option_and_argument(benchmark: Path) -> None:
    report = run("model", "bicubic", benchmark / "HR", "--benchmark", benchmark, "--json")
    names = [one["name"] for one in json.loads(report.stdout)["benchmarks"]]
    assert names == ["Set2", "HR"]


def test_a_model_is_opened_once_and_closed(
    benchmark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    @contextmanager
    def open_system(model: str) -> Iterator[Any]:
        calls.append(f"open {model}")
        yield enlarge_bicubic
        calls.append("close")

    monkeypatch.setattr(systems, "open_system", open_system)
    assert run("model", "a.onnx", benchmark, benchmark / "HR").exit_code == 0
    assert calls == ["open a.onnx", "close"]


def test_pictures_of_any_program(benchmark: Path, tmp_path: Path) -> None:
    results = tmp_path / "theirs"
    results.mkdir()
    for path in (benchmark / "HR").iterdir():
        with Image.open(path) as image:
            image.save(results / path.name)
    report = json.loads(run("images", benchmark / "HR", results, "--json").stdout)
    assert report["model"] == "theirs"
    assert report["benchmarks"][0]["mean"] == {"psnr_db": None, "ssim": 1.0}, "equal pictures"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("model", "bicubic"), "no benchmark: name a folder with --benchmark"),
        (("model", "bicubic", "Set2", "--json", "--csv"), "--json and --csv exclude each other"),
        (("page", "Set2", "--model", "bicubic"), "expected two --model, not 1"),
        (("complexity", "--size", "50"), "expected HEIGHTxWIDTH"),
        (("images", "nowhere", "Set2"), "nowhere is not a folder"),
    ],
)
def test_mistakes(
    benchmark: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(benchmark.parent)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
