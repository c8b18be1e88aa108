from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the gpu extra")
pytest.importorskip("onnxruntime", reason="needs the gpu extra")

from export.half_file import half_file
from runtime.backends.onnxruntime import OrtBackend
from runtime.errors import TargetError
from runtime.model.info import model_path

LITE = model_path("dggn-lite")


def test_it_is_made_once_and_takes_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx

    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    path = half_file(LITE)
    made = path.stat().st_mtime_ns
    assert half_file(LITE) == path
    assert path.stat().st_mtime_ns == made
    model = onnx.load(path)
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {onnx.TensorProto.UINT8}
    kinds = [tensor.data_type for tensor in model.graph.initializer]
    assert kinds.count(onnx.TensorProto.FLOAT16) > kinds.count(onnx.TensorProto.FLOAT)
    tile = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), np.uint8)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": tile})
    expected = OrtBackend(LITE, threads=1, where="cpu").run(tile)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_another_model_of_the_name_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    other = tmp_path / LITE.name
    shutil.copy(model_path("dggn-lite-photo"), other)
    assert half_file(other) != half_file(LITE)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "file"))
    with pytest.raises(TargetError):
        half_file(LITE)
