"""Prints docs/tensorrt.md's tables of traffic: of the shipped models, and the flagship untrained.

python -m tests.benchmarks.traffic
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import torch

from dggn.model.config import preset
from export.graph import model_info, onnx_graph
from export.trt.passes.source import read_source
from export.trt.traffic.measure import measure_traffic
from export.trt.traffic.table import traffic_table
from runtime.backends.trt.library import find_library
from runtime.model.info import model_path
from tests.support.untrained import untrained

SHIPPED = ("dggn-lite", "dggn-lite-photo")


def main() -> None:
    """Build and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flagship.onnx"
        torch.manual_seed(0)
        generator = untrained(preset("dggn"))
        info = model_info(generator, sample_type="float32", halo_px=16, origin="random weights")
        onnx.save(onnx_graph(generator, info), path)
        models = {name: model_path(name) for name in SHIPPED} | {"preset `dggn`": path}
        library = find_library("tensorrt-rtx")
        measured = {
            name: measure_traffic(read_source(one), library) for name, one in models.items()
        }
    print(traffic_table(measured))


if __name__ == "__main__":
    main()
