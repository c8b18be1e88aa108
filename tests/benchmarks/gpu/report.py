"""Writes the results as one Markdown file."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone

from tests.benchmarks.gpu.goals import goals, operations_per_s
from tests.benchmarks.gpu.measure import COMMANDS, COPIES, ENGINE, NOT_WANTED, RATES, Found
from tests.benchmarks.gpu.plan import BACKENDS, FLAGSHIP, YARDSTICK, Plan

TITLES = {
    ENGINE: "engine only",
    COPIES: "engine with copies",
    "png": "whole command, PNG, delivered",
    "jpg": "whole command, JPEG, delivered",
}
MODELS = {FLAGSHIP: "DGGN", YARDSTICK: "ESRGAN's RRDB structure, random weights"}
QUERY = "name,driver_version,memory.total,power.limit,clocks.max.sm"


def report(found: Found, plan: Plan, command: str) -> str:
    """Write it.

    Args:
        found: what was measured.
        plan: how.
        command: that did it.
    """
    return (
        "\n".join([*_head(found, plan, command), *_tables(found, plan), *_rest(found, plan)]) + "\n"
    )


def _head(found: Found, plan: Plan, command: str) -> Iterator[str]:
    now = datetime.now(timezone.utc)
    yield f"# GPU benchmark, {now.day} {now:%B %Y}"
    yield ""
    if plan.dry_run:
        yield "**A dry run on the CPU: it shows that everything runs. No figure means anything.**"
        yield ""
    facts = plan.facts()
    yield f"`{command}`"
    yield ""
    yield f"- Machine: {gpu_line()}; {platform.processor() or platform.machine()}"
    yield f"- Model: {facts['model']}"
    yield (
        f"- Whole command: {facts['megapixels']:.1f} megapixels delivered, "
        f"{facts['computed_megapixels']:.1f} computed, because tiles overlap"
    )
    yield (
        f"- Batches of {plan.batch} tiles of {plan.tile_px} px; {plan.rounds} rounds of "
        f"{plan.seconds:g} s, the backends taking turns; medians"
    )
    for backend in BACKENDS:
        what = found.descriptions.get(backend)
        if what:
            yield f"- {plan.names[backend]}: {what}"
    yield ""


def _tables(found: Found, plan: Plan) -> Iterator[str]:
    yield "## Correctness"
    yield ""
    yield "Against the float32 model on the CPU, of real tiles."
    yield ""
    yield "| backend | PSNR | within one grey level | largest difference |"
    yield "| --- | ---: | ---: | ---: |"
    for backend in BACKENDS:
        one = found.accuracy.get(backend)
        cells = (
            f"{one.psnr_db:.1f} dB | {100 * one.within_one:.3f} % | {one.largest}"
            if one
            else "not measured | |"
        )
        yield f"| {plan.names[backend]} | {cells} |"
    yield ""
    yield "## Speed"
    for model, title in MODELS.items():
        whats = TITLES if model == FLAGSHIP else {what: TITLES[what] for what in (ENGINE, COPIES)}
        yield ""
        yield f"{title}, output megapixels a second:"
        yield ""
        yield f"| backend | {' | '.join(whats.values())} |"
        yield f"| --- |{' ---: |' * len(whats)}"
        for backend in BACKENDS:
            figures = (
                "–"
                if _is_none(model, backend, what)
                else _figure(found.median(model, backend, what))
                for what in whats
            )
            yield f"| {plan.names[backend]} | {' | '.join(figures)} |"
    yield ""
    yield "## The device's best, and the engines' share"
    yield ""
    yield "| | TFLOP/s | of the matrix product | of the best convolution |"
    yield "| --- | ---: | ---: | ---: |"
    for name in RATES:
        rate = found.rates.get(name)
        yield f"| {name} | {_figure(rate and rate / 1e12)} | | |"
    for model in MODELS:
        for backend in BACKENDS:
            if _is_none(model, backend, ENGINE):
                continue
            speed = operations_per_s(found.median(model, backend, ENGINE), model, plan)
            shares = (_share(speed, found.rates.get(name)) for name in RATES)
            label = f"{MODELS[model].split(',')[0]}, {plan.names[backend]}"
            yield f"| {label} | {_figure(speed and speed / 1e12)} | {' | '.join(shares)} |"
    yield ""
    yield "## Goals"
    yield ""
    if plan.dry_run or not plan.facts()["trained"]:
        yield "To be judged when the trained flagship is measured on a GPU."
        yield ""
    yield "| goal | at least | found | |"
    yield "| --- | ---: | ---: | --- |"
    for goal in goals(found, plan):
        verdict = "a dry run" if plan.dry_run else goal.verdict
        yield f"| {goal.text} | {goal.least:g} | {_figure(goal.found)} | {verdict} |"


def _rest(found: Found, plan: Plan) -> Iterator[str]:
    yield ""
    yield "## Not measured"
    yield ""
    if plan.dry_run:
        yield "- not measured: anything on a GPU: this is a dry run"
    for what, why in found.problems.items():
        yield f"- not measured: {what}: {why}"
    if not found.problems and not plan.dry_run:
        yield "Nothing is missing."


def _is_none(model: str, backend: str, what: str) -> bool:
    """Whether there is nothing to measure."""
    has_command = backend in COMMANDS or what in (ENGINE, COPIES)
    return (model, backend) in NOT_WANTED or not has_command


def _figure(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _share(speed: float | None, best: float | None) -> str:
    return f"{100 * speed / best:.0f} %" if speed and best else ""


def gpu_line() -> str:
    """The GPU and its driver, as nvidia-smi says."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no NVIDIA GPU (nvidia-smi does not run)"
    return done.stdout.strip().replace("\n", "; ")
