from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")
from dggn.model.generator import Generator
from dggn.model.stored_weights import stored_names
from export.write import ExportOptions, write_onnx
from runtime.errors import ModelError
from tests.support.graphs import initializers


def test_half_the_bytes(exported: dict[str, Path], small: Generator) -> None:
    tensors = initializers(exported["half"])
    stored = stored_names([name for name, _ in small.named_parameters()], tensors)
    assert stored.keys() == {name for name, _ in small.named_parameters()}
    names = [name for parts in stored.values() for name in parts]
    assert {tensors[name].dtype for name in names} == {np.dtype(np.float16)}
    saved = exported["float32"].stat().st_size - exported["half"].stat().st_size
    parameters = sum(parameter.numel() for parameter in small.parameters())
    assert saved > parameters


def test_weights_too_large_for_float16(small: Generator, tmp_path: Path) -> None:
    generator = copy.deepcopy(small)
    with torch.no_grad():
        generator.image_tail.last.weight.fill_(1e6)
    options = ExportOptions(sample_type="float32", weights="float16", halo_px=16, origin="a test")
    with pytest.raises(ModelError, match=r"image_tail\.last\.weight does not fit float16"):
        write_onnx(generator, tmp_path / "model.onnx", options)
    assert not list(tmp_path.iterdir())
