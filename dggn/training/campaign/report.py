"""Measures a campaign's models, as the rows of one table."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

EVALUATE = (sys.executable, "-c", "from dggn.metrics.cli import app; app()")
"""`dggn-eval` of this environment."""


def measure(models: Mapping[str, str], data: Path, perceptual: Path) -> tuple[int, list[str]]:
    """Measure models on the validation pictures and on every benchmark, with `dggn-eval model`.

    Args:
        models: name in the table, and the model as `dggn-eval` takes it.
        data: folder with `val/` and, if needed, `benchmark/`.
        perceptual: SqueezeNet's weights, for the perceptual distance if they exist.

    Returns:
        The exit code of the command, and the lines of the table in Markdown: one for each model and
        benchmark, then the effect of the gradient branch where there are runs with and without it.
    """
    folders = sorted(path.parent for path in data.glob("benchmark/*/HR"))
    options = [
        argument for folder in (data / "val", *folders) for argument in ("--benchmark", str(folder))
    ]
    options += ["--features", str(perceptual)] if perceptual.exists() else []
    lines: list[str] = []
    for name, model in models.items():
        command = [*EVALUATE, "model", model, *options, "--markdown"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return done.returncode, lines
        header, rule, *rows = done.stdout.splitlines()
        lines += [] if lines else [header, rule]
        lines += [f"| {name} |{row.split('|', 2)[2]}" for row in rows]
    return 0, lines + differences(lines[2:])


def measure_on_realistic(
    models: Mapping[str, str], data: Path, perceptual: Path
) -> tuple[int, list[str]]:
    """Measure models on the validation pictures made realistic, with `dggn-eval realistic`.

    Args:
        models: name in the table, and the model as `dggn-eval` takes it.
        data: folder with `val/` and, for NIQE, `metrics/niqe_pris_params.npz`.
        perceptual: SqueezeNet's weights, for the perceptual distance if they exist.

    Returns:
        The exit code of the command, and the lines of the table in Markdown: bicubic
        interpolation, the models, the originals.
    """
    niqe = data / "metrics" / "niqe_pris_params.npz"
    options = ["--features", str(perceptual)] if perceptual.exists() else []
    options += ["--niqe", str(niqe)] if niqe.exists() else []
    before: list[str] = []
    own: list[str] = []
    after: list[str] = []
    for name, model in models.items():
        command = [*EVALUATE, "realistic", str(data / "val"), "--model", model, *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return done.returncode, before + own
        *before, row, originals = done.stdout.splitlines()
        after = [originals]
        own.append(f"| {name} |{row.split('|', 2)[2]}")
    return 0, before + own + after


def differences(rows: list[str]) -> list[str]:
    """Return table rows for the gradient branch's effect: runs with it minus runs without it.

    Args:
        rows: rows of the table, of runs named `with-NAME` and `without-NAME` among others.
    """
    figures: dict[tuple[str, str], tuple[str, list[float]]] = {}
    for row in rows:
        name, benchmark, count, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        figures[name, benchmark] = count, [float(cell) for cell in cells]
    differences = []
    for (name, benchmark), (count, values) in figures.items():
        other = name.replace("with-", "without-", 1)
        if name.startswith("with-") and (other, benchmark) in figures:
            others = figures[other, benchmark][1]
            signed = [f"{one - two:+.4g}" for one, two in zip(values, others, strict=True)]
            differences.append(
                f"| {name} minus {other} | {benchmark} | {count} | {' | '.join(signed)} |"
            )
    return differences
