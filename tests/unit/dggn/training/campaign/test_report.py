from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dggn.training.campaign.report import differences, measure, measure_on_realistic

TABLE = "| model | benchmark | n | PSNR |\n| --- | --- | --- | --- |\n| {} | val | 20 | {} |\n"


def test_the_branch_s_effect_is_what_runs_with_it_are_better_by() -> None:
    rows = [
        "| bicubic | Set5 | 5 | 28.43 | 0.8111 |",
        "| without-gan | Set5 | 5 | 30.00 | 0.8400 |",
        "| with-gan | Set5 | 5 | 30.25 | 0.8300 |",
        "| with-psnr | Set5 | 5 | 31.00 | 0.8700 |",
    ]
    assert differences(rows) == ["| with-gan minus without-gan | Set5 | 5 | +0.25 | -0.01 |"]


def test_models_and_benchmarks_make_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmark" / "Set5" / "HR").mkdir(parents=True)
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        model = command[command.index("model") + 1]
        return subprocess.CompletedProcess(command, int(model == "broken"), TABLE.format(model, 26))

    monkeypatch.setattr(subprocess, "run", run)
    code, lines = measure({"bicubic": "bicubic", "gan": "g.onnx"}, tmp_path, tmp_path / "none.npz")
    assert (code, lines[2:]) == (0, ["| bicubic | val | 20 | 26 |", "| gan | val | 20 | 26 |"])
    assert commands[1][0] == sys.executable
    assert commands[1][4:] == [
        *("g.onnx", "--benchmark", str(tmp_path / "val")),
        *("--benchmark", str(tmp_path / "benchmark" / "Set5"), "--markdown"),
    ]
    code, _ = measure({"broken": "broken"}, tmp_path, tmp_path / "none.npz")
    assert code == 1


def test_models_on_realistic_photographs_stand_between_bicubic_and_originals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    niqe = tmp_path / "metrics" / "niqe_pris_params.npz"
    niqe.parent.mkdir()
    niqe.touch()
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        rows = ("model", "---", "bicubic", "generator", "originals")
        table = "".join(f"| {row} | val | 20 |\n" for row in rows)
        return subprocess.CompletedProcess(command, int("broken" in command), table)

    monkeypatch.setattr(subprocess, "run", run)
    models = {"photo": "a/generator.safetensors", "photo-gan": "b/generator.safetensors"}
    code, lines = measure_on_realistic(models, tmp_path, tmp_path / "none.npz")
    named = [line.split(" | ")[0] for line in lines]
    assert (code, named[2:]) == (0, ["| bicubic", "| photo", "| photo-gan", "| originals"])
    assert commands[1][3:] == [
        *("realistic", str(tmp_path / "val"), "--model", "b/generator.safetensors"),
        *("--niqe", str(niqe)),
    ]
    assert measure_on_realistic({"x": "broken"}, tmp_path, tmp_path / "none.npz")[0] == 1
