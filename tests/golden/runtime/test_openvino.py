"""OpenVINO reproduces ONNX Runtime's pictures on benchmark photographs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.openvino.library import require_device
from runtime.model.info import WantedPrecision
from runtime.upscaler import Upscaler


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "least_db"), [("float32", 60), ("bfloat16", 50)])
def test_set5_and_set14(
    benchmark_folder: Path, precision: WantedPrecision, least_db: float
) -> None:
    if precision == "bfloat16" and "BF16" not in require_device("CPU").capabilities:
        pytest.skip("this processor computes no bfloat16")
    squares, samples, largest, beyond = 0.0, 0, 0, 0
    with (
        Upscaler(backend="onnxruntime") as reference,
        Upscaler(backend="openvino", precision=precision) as whole,
        Upscaler(backend="openvino", precision=precision, tile_size=64) as tiled,
    ):
        for path in sorted(benchmark_folder.glob("Set*/LR_x4/*.png")):
            with Image.open(path) as opened:
                image = np.asarray(opened.convert("RGB"))
            expected, found = reference(image).astype(int), whole(image).astype(int)
            squares += float(np.sum((found - expected) ** 2))
            samples += found.size
            seams = np.abs(tiled(image).astype(int) - found)
            largest, beyond = max(largest, int(seams.max())), beyond + int(np.sum(seams > 1))
    assert 10 * math.log10(255**2 * samples / max(squares, 1)) >= least_db
    # Once in millions of samples, two roundings of the smallest tiles coincide.
    assert largest <= 2
    assert beyond <= samples / 1e6
