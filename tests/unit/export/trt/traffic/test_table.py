from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs the rtx extra")
pytest.importorskip("onnxruntime", reason="needs the rtx extra")
pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")
from export.trt.traffic.log import read_log
from export.trt.traffic.table import traffic_table
from tests.support.kernel_logs import KERNEL, MEMORY


def test_a_table_leaves_cells_empty_that_a_model_has_no_kernels_for() -> None:
    one = read_log([f"Layers:\n{KERNEL}\n", MEMORY], tile_px=16, scale=4)
    other = read_log(
        [f"Layers:\n{KERNEL.replace('[16,32,3,3]', '[16,32,1,1]')}\n", MEMORY], tile_px=16, scale=4
    )
    lines = traffic_table({"a": one, "b": other}).splitlines()
    assert "| 3×3 convolutions at ×1/2 | 2.0 |  |" in lines
    assert "| 1×1 convolutions at ×1/2 |  | 2.0 |" in lines
