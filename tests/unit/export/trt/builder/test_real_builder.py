"""Every shipped preset and precision, built by a real TensorRT builder without a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="needs the rtx extra")
pytest.importorskip("onnxruntime", reason="needs the rtx extra")
pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")

from dggn.onnx_graph.source import SourceModel
from export.trt.builder import verified as build_module
from export.trt.builder.plan import Graph, build_plan
from export.trt.builder.verified import BuildContext, build_engine
from export.trt.passes.assemble import tensorrt_graph
from export.trt.passes.source import read_source
from runtime.backends.trt.engine_file import read_facts
from runtime.backends.trt.library import Library, find_library
from runtime.backends.trt.request import EngineRequest
from runtime.errors import ModelError

TARGETS = ("sm86", "sm89", "sm120")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library("tensorrt-rtx")


Check = Callable[[SourceModel, str, str], None]


@pytest.fixture
def check(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Build an engine for all targets, without comparing results, which other tests do."""
    monkeypatch.setattr(build_module, "largest_activation", lambda source, tile: 1.0)

    def check(source: SourceModel, precision: Any, sample_type: Any) -> None:
        _check(source, library, tmp_path, precision, sample_type)

    return check


def _check(
    source: SourceModel, library: Library, folder: Path, precision: Any, sample_type: Any
) -> None:
    said: list[str] = []
    request = EngineRequest(
        flavor="tensorrt-rtx",
        precision=precision,
        sample_type=sample_type,
        tile_px=256,
        batch=4,
        targets=TARGETS,
    )
    context = BuildContext(
        library=library,
        gpu=None,
        open_engine=None,
        say=said.append,
        on_progress=lambda what, share: None,
        cancelled=threading.Event(),
    )
    path = folder / "x.engine"
    facts = build_engine(source, request, path, context)
    assert read_facts(path) == facts
    # No fallback to a safer precision or smaller tiles.
    assert (facts.precision, facts.tile_px, facts.batch) == (precision, 256, 4)
    assert len(said) == 1


@pytest.mark.parametrize("sample_type", ["uint8", "float32"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_lite(lite: SourceModel, check: Check, precision: str, sample_type: str) -> None:
    check(lite, precision, sample_type)


@pytest.mark.parametrize("sample_type", ["uint8", "float32"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_flagship(flagship: SourceModel, check: Check, precision: str, sample_type: str) -> None:
    check(flagship, precision, sample_type)


@pytest.mark.parametrize("sample_type", ["uint8", "float32"])
def test_lite_in_int8(int8_file: Path, check: Check, sample_type: str) -> None:
    check(read_source(int8_file), "int8", sample_type)


def test_models_of_other_programs(foreign_file: Path, check: Check) -> None:
    check(read_source(foreign_file), "fp16", "uint8")


def test_groups_and_splits_stay_and_are_built(grouped_file: Path, check: Check) -> None:
    check(read_source(grouped_file), "fp16", "uint8")


def test_the_flagships_graph_computes_what_the_flagship_does(
    flagship: SourceModel,
    library: Library,
    run: Callable[[Any, NDArray[Any]], NDArray[Any]],
    batch: NDArray[np.float32],
) -> None:
    model = tensorrt_graph(
        flagship, precision="fp16", sample_type="float32", capabilities=library.capabilities
    )
    difference = run(model, batch) - run(flagship.path, batch)
    assert 10 * np.log10(1 / np.mean(np.square(difference, dtype=np.float64))) >= 60


def test_a_graph_that_is_refused_is_an_error(
    library: Library, make_refused: Callable[[], bytes]
) -> None:
    request = EngineRequest(
        flavor="tensorrt-rtx",
        precision="fp16",
        sample_type="uint8",
        tile_px=64,
        batch=1,
        targets=("sm86",),
    )
    with pytest.raises(ModelError, match=r"rejects the graph: node first \(Transpose\): .*UInt8"):
        build_plan(
            library,
            Graph(content=make_refused(), least_px=8),
            request,
            on_progress=lambda what, share: None,
            cancelled=threading.Event(),
        )


@pytest.fixture
def make_refused(lite: SourceModel) -> Callable[[], bytes]:
    """A transpose before the first cast of bytes, which TensorRT rejects."""
    from onnx import ModelProto, TensorProto, helper

    def make() -> bytes:
        nodes = [
            helper.make_node("Transpose", ["x"], ["t"], name="first", perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["t"], ["y"], name="cast", to=TensorProto.FLOAT),
        ]
        graph = helper.make_graph(
            nodes,
            "refused",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", "h", "w", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        )
        model: ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
        )
        content: bytes = model.SerializeToString()
        return content

    return make
