from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ModelError
from runtime.model import files
from runtime.model.files import check_model_file
from runtime.model.info import shipped_models


def test_shipped_models_may_be_loaded() -> None:
    assert shipped_models()
    for path in shipped_models().values():
        check_model_file(path)


@pytest.mark.parametrize("content", [b"", b"x" * 101])
def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(files, "MAX_MODEL_BYTES", 100)
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(
        ModelError, match=f"has {len(content)} bytes: expected an ONNX file of 1 to"
    ):
        check_model_file(path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link.bin", "beside.bin"])
def test_weights_in_other_files_are_refused(tmp_path: Path, location: str) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from runtime.backends.onnxruntime import OrtBackend

    (tmp_path / "secret.bin").write_bytes(bytes(16))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "beside.bin").write_bytes(bytes(16))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=1)
    tensor.external_data.add(key="location", value=location)
    values = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in ("input", "output")]
    node = onnx.helper.make_node("Add", ["input", "w"], ["output"])
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:], [tensor])
    (folder / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match="keeps weights in other files"):
        OrtBackend(folder / "a.onnx")
