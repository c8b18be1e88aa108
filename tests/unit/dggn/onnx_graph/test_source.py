from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="needs the export, calibrate or trt extra")

from onnx import helper

from dggn.onnx_graph.source import SourceModel, read_onnx
from runtime.errors import ModelError
from runtime.model.info import file_sha256, model_path
from tests.unit.dggn.onnx_graph.test_fold import model_of


def test_a_shipped_model() -> None:
    from runtime.backends.onnxruntime import OrtBackend

    pytest.importorskip("onnxruntime")
    path = model_path("dggn-lite")
    with OrtBackend(path, threads=1) as backend:
        source = SourceModel.of(path, read_onnx(path), backend.info)
    assert source.sha256 == file_sha256(path)
    assert not source.is_quantized
    stored = {tensor.name for tensor in source.model.graph.initializer}
    assert source.storages.keys() <= stored


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes: expected an ONNX file"),
        (b"no model", "is not a readable ONNX file"),
        (b"\x08\x07", "is not a readable ONNX file"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"bad\.onnx {message}"):
        read_onnx(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no\.onnx cannot be read"):
        read_onnx(tmp_path / "no.onnx")


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    import numpy as np

    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    model = model_of(nodes, {"w": np.ones(2, np.float32)})
    onnx.save(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    with pytest.raises(ModelError, match="keeps weights in other files"):
        read_onnx(tmp_path / "m.onnx")


def test_graphs_are_handled_without_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
from dggn.onnx_graph import evaluate, fold, source, values, weight_storage
"""
    subprocess.run([sys.executable, "-c", code], check=True)
