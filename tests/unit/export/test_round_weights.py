from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")
from dggn.model.generator import Generator
from dggn.model.stored_weights import stored_names
from dggn.onnx_graph.weight_storage import Storage
from export.round_weights import round_weights
from export.write import ExportOptions, write_onnx
from runtime.errors import ModelError
from tests.support.graphs import initializers


def stored(path: Path, small: Generator) -> dict[str, Any]:
    """The file's initializers that hold parameters, whole or in parts."""
    tensors = initializers(path)
    names = stored_names([name for name, _ in small.named_parameters()], tensors)
    assert names.keys() == {name for name, _ in small.named_parameters()}
    return {name: tensors[name] for parts in names.values() for name in parts}


def test_half_the_bytes(exported: dict[str, Path], small: Generator) -> None:
    types = {array.dtype for array in stored(exported["half"], small).values()}
    assert types == {np.dtype(np.float16)}
    saved = exported["float32"].stat().st_size - exported["half"].stat().st_size
    parameters = sum(parameter.numel() for parameter in small.parameters())
    assert saved > parameters


def test_a_quarter_of_the_kernels_bytes(exported: dict[str, Path], small: Generator) -> None:
    weights = stored(exported["int8"], small)
    assert "image_trunk.0.enter.weight.1" in weights, "branches are stored in parts"
    for name, array in weights.items():
        assert array.dtype == (np.int8 if array.ndim == 4 else np.float16), name
    tensors = initializers(exported["int8"])
    for name, array in weights.items():
        if array.ndim == 4:
            assert tensors[f"{name}.scale"].shape == (len(array), 1, 1, 1)
            # Untrained heads have channels of zeros.
            assert set(np.abs(array).max(axis=(1, 2, 3)).tolist()) <= {0, 127}


@pytest.mark.parametrize("value", [1e6, float("nan")])
@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_weights_that_do_not_fit(
    small: Generator, tmp_path: Path, storage: Storage, value: float
) -> None:
    generator = copy.deepcopy(small)
    with torch.no_grad():
        generator.get_parameter("image_tail.last.bias").fill_(value)
    options = ExportOptions(sample_type="float32", weights=storage, halo_px=16, origin="a test")
    with pytest.raises(ModelError, match=r"image_tail\.last\.bias does not fit float16"):
        write_onnx(generator, tmp_path / "model.onnx", options)
    assert not list(tmp_path.iterdir())


def test_kernels_that_are_not_finite(small: Generator) -> None:
    generator = copy.deepcopy(small)
    with torch.no_grad():
        generator.image_tail.last.weight[0, 0, 0, 0] = float("inf")
    with pytest.raises(ModelError, match=r"image_tail\.last\.weight does not fit int8"):
        round_weights(generator, "int8")
