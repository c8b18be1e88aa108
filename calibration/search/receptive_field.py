"""Measures the receptive field by tracking a NaN through the graph.

Whatever a NaN enters becomes NaN, in every convolution, addition and product, however small a
weight is. The NaNs in the output of one wrong block of pixels are all the pixels that depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dggn.onnx_graph.evaluate import evaluate
from dggn.onnx_graph.source import SourceModel

if TYPE_CHECKING:
    import onnx

AFTER_THE_NETWORK = ("Cast", "Clip", "Max", "Min", "Mul", "Round", "Transpose")
"""Operators between the network's output and 8-bit samples, some of which lose NaNs."""


def receptive_field_px(source: SourceModel, most_px: int) -> int | None:
    """Return the overlap with which a tile exactly matches the whole picture.

    Args:
        source: the float32 model.
        most_px: the largest overlap of interest, in LR pixels.

    Returns:
        LR pixels per side, a multiple of the model's size multiple; None when it is larger.

    Raises:
        BackendError: ONNX Runtime failed on the model.
    """
    info = source.info
    block = info.size_multiple_px
    # Room for one block more than is of interest, so that more is seen to be more.
    start = (most_px // block + 1) * block
    side = 2 * start + block
    image_nchw = np.zeros((1, 3, side, side), np.float32)
    image_nchw[..., start : start + block, start : start + block] = np.nan
    is_bytes = info.sample_type == "uint8"
    image = image_nchw.transpose(0, 2, 3, 1) if is_bytes else image_nchw
    model, written = _in_float(source)
    ((output,),) = evaluate(model, [written], [image])
    rows, columns = np.nonzero(np.isnan(output[0]).any(axis=0))
    reached = 0
    for places in (rows, columns):
        before = start - places.min() // info.scale
        after = places.max() // info.scale - (start + block - 1)
        reached = max(reached, int(before), int(after))
    overlap = -(-reached // block) * block
    return overlap if overlap <= most_px else None


def _in_float(source: SourceModel) -> tuple[onnx.ModelProto, str]:
    """Return the float part of the graph and its last unclamped value, since bytes hold no NaN."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    graph = model.graph
    if source.info.sample_type == "uint8":
        first = next(node for node in graph.node if "input" in node.input)
        graph.node.remove(first)
        del graph.input[:]
        graph.input.append(helper.make_tensor_value_info(first.output[0], TensorProto.FLOAT, None))
    producers = {name: node for node in graph.node for name in node.output}
    written = "output"
    while producers[written].op_type in AFTER_THE_NETWORK:
        written = producers[written].input[0]
    return model, written
