from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.errors import ModelError
from runtime.model import files
from runtime.model.files import HEAD_BYTES, check_model_file, other_kind
from runtime.model.info import MODELS_FOLDER, shipped_models


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


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_libraries_cannot_open(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.onnx")
    with pytest.raises(ModelError, match="has a name that is not in UTF-8"):
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer"),
        (b"PK\x03\x04\x00\x00\x08\x08net/data.pkl", "PyTorch checkpoints are: .*dggn-export onnx"),
        (b"\x80\x02\x8a\nl\xfc\x9c", "a PyTorch checkpoint: .*dggn-export onnx"),
        (b"\x80\x04\x95", "a Python pickle, which is never opened"),
        (b"7767517\n2 2\nInput data 0 1 data\n", "an ncnn model"),
        (b"ftrt" + bytes(40), "a TensorRT engine"),
        (b'<?xml version="1.0"?><net name="a">', "an XML file, perhaps of OpenVINO"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x1c\x00\x00\x00TFL3", "a TensorFlow Lite model"),
        ((60).to_bytes(8, "little") + b'{"a": {}}', "a checkpoint in safetensors"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.onnx is {message}|is a ZIP file, as {message}"):
        check_model_file(path)


def test_onnx_files_are_of_no_other_kind() -> None:
    for path in MODELS_FOLDER.glob("*.onnx"):
        assert other_kind(path.read_bytes()[:HEAD_BYTES]) == ""
