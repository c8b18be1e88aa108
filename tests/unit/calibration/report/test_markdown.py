from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from calibration.report.chart import HEADER_PX, MARGIN_PX, ROW_PX
from calibration.report.markdown import ORANGE, RED, Findings, chart, markdown, rms_levels
from calibration.search.best_mix import Gates, SearchResult
from calibration.search.mix import Mix
from calibration.search.place import Layer

LAYERS = tuple(Layer(name=name, nodes=(name,)) for name in ("one", "two", "three"))


def findings(best: int = 1) -> Findings:
    outcome = SearchResult(
        reference=Mix(layers=(), psnr_db=28.0, halo_px=16, seam_levels=1),
        everything=Mix(layers=LAYERS, psnr_db=27.5, halo_px=16, seam_levels=4),
        best=Mix(layers=LAYERS[:best], psnr_db=27.95, halo_px=56, seam_levels=1),
        costs_db={"one": 60.0, "two": 40.0, "three": math.inf},
        for_seams=("two",),
        for_fidelity=("three",) if best else ("three", "one"),
    )
    return Findings(
        model="lite.onnx",
        output="lite-int8.onnx",
        target="cpu",
        method="percentile",
        gates=Gates(max_drop_db=0.1, max_seam_levels=1),
        tiles=(),
        manifest_sha256="0" * 64,
        validation="20 pictures of val",
        frozen_drop_db=0.0004,
        is_frozen=True,
        layers=LAYERS,
        pinned=(),
        outcome=outcome,
    )


def test_the_report_names_every_layer_worst_first() -> None:
    text = markdown(findings(), "x.png")
    assert "`lite-int8.onnx` was written: 1 of 3 layers are INT8, and the PSNR is 0.050 dB " in text
    rows = [line for line in text.splitlines() if " dB |" in line and "grey" not in line][3:]
    assert rows == [
        "| two | 40.00 dB | 2.5500 | float, for the seams |",
        "| one | 60.00 dB | 0.2550 | INT8 |",
        "| three | inf dB | 0.0000 | float, for the PSNR |",
    ]
    assert "| every layer in INT8 | 3 of 3 | 27.500 dB | +0.500 dB | 16 px | 4.00 |" in text
    assert "| this model | 1 of 3 | 27.950 dB | +0.050 dB | 56 px | 1.00 |" in text
    assert "![Cost of every layer](x.png)" in text


@pytest.mark.parametrize(
    ("drop_db", "is_frozen", "said"),
    [
        (0.0004, True, "gates: constants; their means over the tiles cost +0.0004 dB."),
        (0.2, False, "gates: computed, as before; their means over the tiles cost +0.2000 dB."),
        (None, False, None),
    ],
)
def test_the_report_says_what_became_of_the_gates(
    drop_db: float | None, is_frozen: bool, said: str | None
) -> None:
    text = markdown(replace(findings(), frozen_drop_db=drop_db, is_frozen=is_frozen), "x.png")
    assert said in text if said else "gates:" not in text


def test_a_failure_says_what_stands_in_the_way() -> None:
    text = markdown(findings(best=0), "x.png")
    assert "**The model was not written**" in text
    assert "In the way, for the seams: two; for the PSNR: three, one." in text
    assert "| this model |" not in text


def test_the_chart_has_a_bar_for_each_layer() -> None:
    image = np.asarray(Image.open(io.BytesIO(chart(findings()))).convert("RGB"))
    assert image.shape[0] == 2 * MARGIN_PX + HEADER_PX + 3 * ROW_PX
    bars = image[MARGIN_PX + HEADER_PX :]
    assert (bars[ROW_PX : 2 * ROW_PX] == ORANGE).all(axis=-1).any()
    assert (bars[2 * ROW_PX : 3 * ROW_PX] == RED).all(axis=-1).any()


def test_rms_of_a_psnr() -> None:
    assert rms_levels(20) == pytest.approx(25.5)
    assert rms_levels(math.inf) == 0
