from __future__ import annotations

import doctest
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

import onnx

import dggn
from dggn.model import shipped
from dggn.model.picture import super_resolve
from runtime.errors import ModelError
from runtime.model.info import DEFAULT_MODEL, model_path


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[onnx.ModelProto], Any]], Path]:
    """Writes the shipped model with a change."""

    def write(change: Callable[[onnx.ModelProto], Any]) -> Path:
        model = onnx.load(model_path(DEFAULT_MODEL))
        change(model)
        path = tmp_path / "changed.onnx"
        onnx.save(model, path)
        return path

    return write


def test_the_documented_example_runs() -> None:
    results = doctest.testmod(shipped, raise_on_error=False)
    assert results.attempted == 4
    assert results.failed == 0


def set_generator(model: onnx.ModelProto, value: str) -> None:
    (entry,) = [one for one in model.metadata_props if one.key == "dggn.generator"]
    entry.value = value


def test_the_module_computes_what_the_file_does(photo: NDArray[np.uint8]) -> None:
    generator = dggn.load()
    assert not generator.training
    with dggn.Upscaler(DEFAULT_MODEL, backend="onnxruntime", threads=1) as upscaler:
        expected = upscaler(photo)
    difference = np.abs(super_resolve(generator, photo).astype(int) - expected)
    assert difference.max() <= 1


@pytest.mark.parametrize("value", ["", "{}", '{"width": 8', '{"width": "wide"}', "[1]"])
def test_a_configuration_that_is_none(changed: Any, value: str) -> None:
    path = changed(lambda model: set_generator(model, value))
    with pytest.raises(ModelError, match="has no usable generator configuration"):
        shipped.load(str(path))


def test_weights_that_do_not_fit(changed: Any) -> None:
    def widen(model: onnx.ModelProto) -> None:
        (entry,) = [one for one in model.metadata_props if one.key == "dggn.generator"]
        entry.value = json.dumps(json.loads(entry.value) | {"tail_width": 999})

    with pytest.raises(ModelError, match=r"changed\.onnx: .* has shape .*, expected"):
        shipped.load(str(changed(widen)))


def test_weights_are_never_read_from_other_files(changed: Any) -> None:
    path = changed(lambda model: None)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/hostname")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"has no usable weights \(.* is in another file"):
        shipped.load(str(path))


def test_files_of_other_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"no protobuf")
    with pytest.raises(ModelError, match="is damaged or of another type"):
        shipped.load(str(path))
    monkeypatch.setattr(shipped, "LARGEST_FILE_BYTES", 4)
    with pytest.raises(ModelError, match="is larger than any DGGN model"):
        shipped.load(str(path))
    with pytest.raises(ModelError, match="neither a file nor a shipped model"):
        shipped.load("no-such-model")
