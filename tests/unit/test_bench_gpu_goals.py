"""Goals of the GPU benchmark, with made-up figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.gpu.goals import goals, operations_per_s
from tests.benchmarks.gpu.measure import Found, Key
from tests.benchmarks.gpu.plan import FACTS_NAME, FLAGSHIP, YARDSTICK, Plan
from tests.benchmarks.gpu.report import report


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    facts = {
        "model": "made-up",
        "trained": True,
        "operations": {FLAGSHIP: 10**12, YARDSTICK: 4 * 10**12},
        "megapixels": 1.0,
        "computed_megapixels": 1.25,
    }
    (tmp_path / FACTS_NAME).write_text(json.dumps(facts))
    return Plan(work=tmp_path)


@pytest.fixture
def found() -> Found:
    figures = {
        (FLAGSHIP, "tensorrt", "engine_only"): [200.0, 400.0, 900.0],
        (FLAGSHIP, "tensorrt", "with_copies"): [380.0],
        (FLAGSHIP, "tensorrt", "png"): [304.0],
        (FLAGSHIP, "torch.compile", "engine_only"): [200.0],
        (YARDSTICK, "tensorrt", "engine_only"): [100.0],
    }
    return Found(
        megapixels={
            Key(model=model, backend=backend, what=what): values
            for (model, backend, what), values in figures.items()
        },
        rates={"matrix product": 800e12, "convolution": 600e12},
        problems={"tensorrt, jpg": "the disk is full"},
    )


def test_goals_are_met_missed_or_not_measured(found: Found, plan: Plan) -> None:
    matrix, compiled, copies, png, jpeg, esrgan = goals(found, plan)
    # A tile of 256 px makes 1.048576 megapixels: 400 of them a second are 381 tiles.
    assert matrix.found == pytest.approx(400 / 1.048576 * 1e12 / 800e12)
    assert (matrix.verdict, matrix.least) == ("met", 0.47)
    assert (compiled.found, compiled.verdict) == (2.0, "met")
    assert (copies.found, copies.verdict) == (0.95, "missed")
    # 304 megapixels delivered are 380 computed, as many as the engine's.
    assert (png.found, png.verdict) == (1.0, "met")
    assert (jpeg.found, jpeg.verdict) == (None, "not measured")
    assert (esrgan.found, esrgan.verdict) == (4.0, "met")
    assert operations_per_s(None, FLAGSHIP, plan) is None


def test_the_report_judges_and_says_what_is_missing(found: Found, plan: Plan) -> None:
    text = report(found, plan, "the command")
    assert "| engine to the card's matrix rate | 0.47 | 0.477 | met |" in text
    assert (
        "| whole command, JPEG, to engine with copies, in computed pixels | 0.9 | not measured | "
        "not measured |" in text
    )
    assert "1.0 megapixels delivered, 1.2 computed" in text
    assert "- not measured: tensorrt, jpg: the disk is full" in text
    assert "| DGGN, TensorRT | 381 | 48 % | 64 % |" in text
    assert "| TensorRT | 400 | 380 | 304 | not measured |" in text
    assert "To be judged when" not in text and "dry run" not in text
