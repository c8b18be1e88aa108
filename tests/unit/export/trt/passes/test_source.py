from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the trt or rtx extra")
pytest.importorskip("onnxruntime", reason="needs the trt or rtx extra")
from dggn.onnx_graph.values import opset
from export.trt.passes.assemble import tensorrt_graph
from export.trt.passes.source import read_source
from runtime.errors import ModelError
from runtime.model.info import model_path
from tests.support.graphs import in_levels, psnr_db

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any, NDArray[Any]], NDArray[Any]]


def test_int8_for_processors_is_refused() -> None:
    with pytest.raises(ModelError, match="quantized for CPUs.*--target tensorrt"):
        read_source(model_path("dggn-lite", "int8"))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07"])
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        read_source(path)


@pytest.mark.parametrize("age", ["strong", "weak"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_models_of_other_programs(
    foreign_file: Path,
    run: Run,
    image: NDArray[np.uint8],
    batch: NDArray[np.float32],
    request: pytest.FixtureRequest,
    age: str,
    precision: Any,
) -> None:
    source = read_source(foreign_file)
    assert (source.info.scale, source.info.origin) == (4, "another program")
    model = tensorrt_graph(
        source,
        precision=precision,
        sample_type="uint8",
        capabilities=request.getfixturevalue(age),
    )
    assert opset(model) == 14
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["lr", "sr"]
    expected = in_levels(run(foreign_file, batch))
    assert psnr_db(run(model, image[None]), expected, 255) >= 60
