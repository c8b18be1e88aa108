"""Replaces squeeze-and-excitation gates that hardly vary with constants.

With g the gate of a channel and m its mean over the calibration tiles, where g is close to m:

    g · Conv(x, W, b)  ≈  Conv(x, m · W, m · b)

A gate sees a window around every pixel, and behind fifteen of them a pixel depends on pixels two
hundred away. Without them it depends on a few dozen, few enough for tiles to overlap by: then a
tile computes exactly what the whole picture does, whatever is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calibration.prepare.tiles import Tile
from dggn.onnx_graph.evaluate import as_input, evaluate
from dggn.onnx_graph.fold import drop_unread
from dggn.onnx_graph.source import SourceModel

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class _Gate:
    """One squeeze-and-excitation: a convolution, gates at their own resolution, a product."""

    convolution: onnx.NodeProto
    values: str
    product: onnx.NodeProto


def freeze_excitation(source: SourceModel, tiles: Sequence[Tile]) -> SourceModel:
    """Fold the mean of every gate into the convolution that it scales.

    Args:
        source: the float32 model; not changed.
        tiles: tiles to average over, all of one size.

    Returns:
        A model without gates; an unchanged one if no gate has the expected form.

    Raises:
        BackendError: ONNX Runtime failed on the model.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    gates = _find_gates(model)
    if not gates:
        return source
    means = _means(source, [gate.values for gate in gates], tiles)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    scaled = set()
    for gate in gates:
        mean = means[gate.values]
        for name in gate.convolution.input[1:]:
            values = numpy_helper.to_array(stored[name])
            values = values * mean.reshape(-1, *[1] * (values.ndim - 1))
            stored[name].CopyFrom(numpy_helper.from_array(values, name))
            scaled.add(name)
        for node in model.graph.node:
            for index, name in enumerate(node.input):
                if name == gate.product.output[0]:
                    node.input[index] = gate.convolution.output[0]
    drop_unread(model)
    # What was scaled cannot be stored without loss any more.
    kept = {name: storage for name, storage in source.storages.items() if name not in scaled}
    return replace(source, model=model, storages=kept)


def _find_gates(model: onnx.ModelProto) -> list[_Gate]:
    """Find every Conv(x) · Resize(Sigmoid(y)) with weights of its own."""
    producers = {name: node for node in model.graph.node for name in node.output}
    weights = {tensor.name for tensor in model.graph.initializer}
    found = []
    for product in model.graph.node:
        if product.op_type != "Mul":
            continue
        sources = [producers.get(name) for name in product.input]
        kinds = [node.op_type if node is not None else "" for node in sources]
        if sorted(kinds) != ["Conv", "Resize"]:
            continue
        convolution, resize = (sources[kinds.index(kind)] for kind in ("Conv", "Resize"))
        assert convolution is not None and resize is not None
        sigmoid = producers.get(resize.input[0])
        is_gate = sigmoid is not None and sigmoid.op_type == "Sigmoid"
        if is_gate and weights.issuperset(convolution.input[1:]):
            found.append(_Gate(convolution=convolution, values=resize.input[0], product=product))
    return found


def _means(
    source: SourceModel, names: Sequence[str], tiles: Sequence[Tile]
) -> dict[str, NDArray[np.float32]]:
    """Return the mean of each gate per channel, by tensor name."""
    feeds = [as_input(tile.image_hwc, source.info.sample_type) for tile in tiles]
    means = [
        [gate.mean(axis=(0, 2, 3), dtype=np.float64) for gate in gates]
        for gates in evaluate(source.model, names, feeds)
    ]
    return {
        name: np.mean(of_tiles, axis=0).astype(np.float32)
        for name, of_tiles in zip(names, zip(*means, strict=True), strict=True)
    }
