"""Converts a graph to another opset.

Upwards onnx's own converter does it. Downwards, from 18 to 17, it knows no way for `Pad`; what
changed for the operators that generators have is little:

    Split   num_outputs came; without it, the outputs are equal parts
    Resize  antialias, axes and keep_aspect_ratio_policy came
    Pad     axes came, as an input
    Reduce* axes became an input (those of ReduceSum were one before)

Anything that uses what came is refused: it cannot be said in 17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dggn.onnx_graph.values import attributes, opset
from runtime.errors import ModelError

if TYPE_CHECKING:
    import onnx

IR_OF_17 = 8
"""IR version that belongs to opset 17."""

NEUTRAL: dict[str, dict[str, object]] = {
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"},
    "Split": {},
    "Pad": {},
}
"""Attributes unknown to opset 17, with the value equivalent to its fixed behaviour."""

REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)


def lower_opset(model: onnx.ModelProto, largest: int) -> onnx.ModelProto:
    """Convert a model to an opset that a parser reads.

    Args:
        model: weights as initializers; not changed.
        largest: the parser's largest opset.

    Raises:
        ModelError: it uses features that the opset lacks.
    """
    found = opset(model)
    if found <= largest:
        return model
    if largest != 17 or found != 18:
        raise ModelError(
            f"the model uses ONNX opset {found}, and this TensorRT reads up to {largest}: "
            f"export it again with opset {largest}"
        )
    return _to_17(model)


def raise_opset(model: onnx.ModelProto, least: int) -> onnx.ModelProto:
    """Convert a model to an opset that supports a pass.

    Raises:
        ModelError: onnx's converter does not know how.
    """
    from onnx import version_converter

    if opset(model) >= least:
        return model
    try:
        return version_converter.convert_version(model, least)
    except RuntimeError as error:
        raise ModelError(f"the model cannot be converted to opset {least}: {error}") from error


def _to_17(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx
    from onnx import helper, numpy_helper

    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    stored = {tensor.name: tensor for tensor in lowered.graph.initializer}
    for node in lowered.graph.node:
        values = attributes(node)
        if node.op_type == "Split" and "num_outputs" in values:
            _drop(node, "num_outputs")
        for name, neutral in NEUTRAL.get(node.op_type, {}).items():
            if values.get(name, neutral) != neutral:
                raise _too_new(node, f"{name} = {values[name]}")
            _drop(node, name)
        if node.op_type == "Resize" and "axes" in values:
            raise _too_new(node, "axes")
        if node.op_type == "Pad" and len(node.input) == 4 and node.input[3]:
            raise _too_new(node, "axes")
        if node.op_type in REDUCTIONS and len(node.input) == 2:
            if node.input[1] not in stored:
                raise _too_new(node, "axes that are computed")
            axes = numpy_helper.to_array(stored[node.input[1]]).tolist()
            del node.input[1:]
            node.attribute.append(helper.make_attribute("axes", axes))
            _drop(node, "noop_with_empty_axes")
    for entry in lowered.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = 17
    lowered.ir_version = min(lowered.ir_version, IR_OF_17)
    try:
        onnx.checker.check_model(lowered, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the model cannot be expressed in opset 17: {error}") from error
    return lowered


def _drop(node: onnx.NodeProto, name: str) -> None:
    kept = [entry for entry in node.attribute if entry.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _too_new(node: onnx.NodeProto, what: str) -> ModelError:
    return ModelError(
        f"{node.op_type} {node.name} uses {what}, which opset 17 does not have: export the model "
        "again with opset 17, or use TensorRT 10 or later"
    )
