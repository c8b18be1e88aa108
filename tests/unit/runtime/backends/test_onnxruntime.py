from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the cpu extra")
pytest.importorskip("onnx", reason="needs the export extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.ort_session import has_cuda
from runtime.errors import BackendError, Cancelled, ImageError, ModelError
from runtime.image.picture import Samples
from tests.support.pipeline_bench import NearestUpscaler

INFO = replace(NearestUpscaler.info, sample_type="float32", scale=2)


def saved(path: Path, nodes: list[Any], *, kind: int = TensorProto.FLOAT, info: Any = INFO) -> Path:
    weights = {
        "scales": np.array([1, 1, 2, 2], np.float32),
        "byte_scales": np.array([1, 2, 2, 1], np.float32),
        "zero": np.zeros(1, np.float32),
    }
    shape: list[int | str] = [1, 3, "h", "w"] if kind == TensorProto.FLOAT else [1, "h", "w", 3]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, info.to_metadata())
    onnx.save(model, path)
    return path


def resize(scales: str = "scales") -> Any:
    options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return helper.make_node("Resize", ["x", "", scales], ["y"], mode="nearest", **options)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(tmp_path / "nearest.onnx", [resize()])


def noise(dtype: Any) -> Any:
    shape = (1, 5, 7, 3)
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tile_of_either_depth(model: Path, dtype: type) -> None:
    with OrtBackend(model, threads=1, where="cpu") as backend:
        delivered: list[Samples] = []
        backend.submit(noise(dtype)[0], delivered.append)
        assert len(delivered) == 1, "at once"
        backend.finish()
    assert np.array_equal(delivered[0], noise(dtype)[0].repeat(2, axis=0).repeat(2, axis=1))


def test_a_model_of_bytes_refuses_16_bits(tmp_path: Path) -> None:
    info = replace(INFO, sample_type="uint8")
    node = resize("byte_scales")
    path = saved(tmp_path / "bytes.onnx", [node], kind=TensorProto.UINT8, info=info)
    backend = OrtBackend(path, threads=1, where="cpu")
    assert backend.run(noise(np.uint8)).shape == (1, 10, 14, 3)
    with pytest.raises(ImageError, match="takes 8-bit samples and the picture has 16"):
        backend.run(noise(np.uint16))


def test_a_result_that_is_not_finite(tmp_path: Path) -> None:
    nodes = [resize(), helper.make_node("Div", ["y", "zero"], ["z"])]
    nodes[0].output[0], nodes[1].input[0], nodes[1].output[0] = "r", "r", "y"
    backend = OrtBackend(saved(tmp_path / "nan.onnx", nodes), threads=1, where="cpu")
    with pytest.raises(BackendError, match="not finite"):
        backend.run(noise(np.uint8))
    backend.is_foreign = True
    with pytest.raises(ImageError, match="not finite for this picture"):
        backend.run(noise(np.uint8))


def test_after_a_cancel_every_call_says_so(model: Path) -> None:
    backend = OrtBackend(model, threads=1, where="cpu")
    backend.cancel()
    for call in (backend.finish, lambda: backend.run(noise(np.uint8))):
        with pytest.raises(Cancelled):
            call()


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"\x08\x08 no model")
    with pytest.raises(ModelError, match=r"a\.onnx cannot be loaded by ONNX Runtime"):
        OrtBackend(path)


@pytest.mark.skipif(has_cuda(), reason="ONNX Runtime has CUDA here")
def test_cuda_is_not_replaced_in_silence(model: Path) -> None:
    with pytest.raises(BackendError, match=r"for CPUs only.*dggn\[gpu\]"):
        OrtBackend(model, where="cuda")


def test_the_description_counts_threads(model: Path) -> None:
    for threads, said in ((1, "ONNX Runtime on the CPU, 1 thread"), (2, "2 threads")):
        backend = OrtBackend(model, threads=threads, where="cpu")
        assert backend.description.endswith(said)
        assert (backend.precision, backend.uniform_tiles) == ("float32", False)
