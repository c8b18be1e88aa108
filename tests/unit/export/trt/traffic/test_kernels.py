from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("onnx", reason="needs the rtx extra")
pytest.importorskip("onnxruntime", reason="needs the rtx extra")
pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")
from export.trt.traffic.kernels import ROOFLINES
from export.trt.traffic.log import read_log
from tests.support.kernel_logs import KERNEL, MEMORY


def test_a_transposed_convolution_is_counted_by_its_input() -> None:
    text = KERNEL.replace("CorrMulMax", "DecoMulMax").replace("[16,32,3,3]", "[32,16,4,4]")
    text = text.replace("[1,16,8,8]", "[1,16,16,16]")
    traffic = read_log([f"Layers:\n{text}\n", MEMORY], tile_px=16, scale=4)
    (kernel,) = traffic.kernels
    assert kernel.flops == 2 * 64 * 32 * 16 * 16
    assert traffic.kind(kernel) == "4×4 transposed convolutions at ×1/2"


def test_the_slower_of_memory_and_products_is_the_ceiling() -> None:
    traffic = read_log([f"Layers:\n{KERNEL}\n", MEMORY], tile_px=16, scale=4)
    (kernel,) = traffic.kernels
    roof = ROOFLINES[0]
    slow_memory = replace(roof, flops=1e30, bytes=1.0)
    slow_products = replace(roof, flops=1.0, bytes=1e30)
    assert traffic.ceiling(slow_memory) == pytest.approx(64**2 / kernel.bytes)
    assert traffic.ceiling(slow_products) == pytest.approx(64**2 / kernel.flops)
