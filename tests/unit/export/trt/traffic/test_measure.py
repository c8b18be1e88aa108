"""Memory traffic of engines, reported by a real builder without a GPU, stays below ceilings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="needs the rtx extra")
pytest.importorskip("onnxruntime", reason="needs the rtx extra")
pytest.importorskip("tensorrt_rtx", reason="needs the rtx extra")

from dggn.onnx_graph.source import SourceModel
from export.cli import app
from export.trt.passes.bytes_io import wrap_in_bytes
from export.trt.passes.islands import float32_nodes
from export.trt.traffic.kernels import Traffic
from export.trt.traffic.measure import measure_traffic
from runtime.backends.trt.library import find_library


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Maximum cost of an engine; raise one only with a reason."""

    model: str
    bytes_per_pixel: float
    slices: int
    casts: int
    activation_mb: float


CEILINGS = (
    Ceiling(model="lite", bytes_per_pixel=460, slices=0, casts=4, activation_mb=91),
    Ceiling(model="flagship", bytes_per_pixel=1_605, slices=0, casts=8, activation_mb=111),
)


@pytest.fixture(scope="module")
def measure(lite: SourceModel, flagship: SourceModel) -> Callable[[str], Traffic]:
    """Builds each model once."""
    sources = {"lite": lite, "flagship": flagship}
    done: dict[str, Traffic] = {}

    def measure(name: str) -> Traffic:
        if name not in done:
            done[name] = measure_traffic(sources[name], find_library("tensorrt-rtx"))
        return done[name]

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("ceiling", CEILINGS, ids=lambda ceiling: ceiling.model)
def test_no_engine_moves_more_than_it_may(
    ceiling: Ceiling, measure: Callable[[str], Traffic]
) -> None:
    traffic = measure(ceiling.model)
    assert traffic.bytes_per_pixel <= ceiling.bytes_per_pixel
    assert sum(kernel.is_slice for kernel in traffic.kernels) <= ceiling.slices
    assert sum(kernel.is_cast for kernel in traffic.kernels) <= ceiling.casts
    assert traffic.activation_bytes <= ceiling.activation_mb * 1e6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lite", "flagship"])
def test_float32_is_in_the_islands_only(
    name: str, measure: Callable[[str], Traffic], request: pytest.FixtureRequest
) -> None:
    islands = _islands(request.getfixturevalue(name))
    outside = [
        kernel.name
        for kernel in measure(name).kernels
        # A convolution may have the cast to an island's float32 fused to it.
        if kernel.is_float32 and "Cast" not in kernel.name and islands.isdisjoint(kernel.nodes)
    ]
    assert not outside


def _islands(source: SourceModel) -> set[str]:
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    wrap_in_bytes(model)
    return {model.graph.node[number].name for number in float32_nodes(model)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lite", "flagship"])
def test_the_kernels_compute_all_convolutions_of_the_graph(
    name: str, measure: Callable[[str], Traffic], request: pytest.FixtureRequest
) -> None:
    traffic = measure(name)
    expected = _flops(request.getfixturevalue(name), traffic.tile_px)
    # The builder pads 3 input channels to 4.
    assert sum(kernel.flops for kernel in traffic.kernels) == pytest.approx(expected, rel=0.01)


def _flops(source: SourceModel, tile_px: int) -> float:
    """Operations of all convolutions; ONNX Runtime finds output sizes on a small picture."""
    import onnxruntime
    from onnx import ModelProto, helper

    model = ModelProto()
    model.CopyFrom(source.model)
    weights = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_empty_tensor_value_info(n.output[0]) for n in convolutions
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    results = session.run(None, {model.graph.input[0].name: np.zeros((1, 3, 64, 64), np.float32)})
    flops: int = sum(
        2 * math.prod(result.shape[2:]) * weights[node.input[1]]
        for node, result in zip(convolutions, results, strict=True)
    )
    return flops * (tile_px / 64) ** 2


@pytest.mark.slow
def test_the_command_prints_markdown(foreign_file: Path) -> None:
    result = CliRunner().invoke(app, ["traffic", str(foreign_file)])
    assert result.exit_code == 0
    totals, kinds = (table.splitlines() for table in result.output.strip().split("\n\n"))
    assert totals[2].startswith(f"| {foreign_file} | ")
    assert all(line.count("|") == totals[0].count("|") for line in totals)
    assert all(line.count("|") == 3 for line in kinds)


@pytest.mark.slow
def test_the_command_takes_no_quantized_model() -> None:
    result = CliRunner().invoke(app, ["traffic", "dggn-lite-int8-tensorrt"])
    assert result.exit_code != 0
    assert "dggn-lite-int8-tensorrt" in result.output
