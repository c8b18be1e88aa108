from __future__ import annotations

import copy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")
from dggn.model.generator import Generator
from export import verify, write
from export.graph import onnx_graph
from export.write import ExportOptions, write_onnx
from runtime.errors import ModelError

OPTIONS = ExportOptions(sample_type="float32", weights="float32", halo_px=16, origin="a test")


def test_a_wrong_graph_is_refused_and_not_kept(
    small: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"what was there before")
    other = copy.deepcopy(small)
    with torch.no_grad():
        other.image_tail.last.weight.mul_(1.01)
    monkeypatch.setattr(write, "onnx_graph", lambda generator, info: onnx_graph(other, info))
    with pytest.raises(ModelError, match=r"largest difference [\d,]+ of 65,535.*tolerance 1"):
        write_onnx(copy.deepcopy(small), target, OPTIONS)
    assert target.read_bytes() == b"what was there before"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_several_sizes_are_compared() -> None:
    shapes = {batch.shape for batch in verify._batches(8)}
    assert len(shapes) == 3
    assert max(shape[0] for shape in shapes) == 2
    assert (1, 8, 16, 3) in shapes
