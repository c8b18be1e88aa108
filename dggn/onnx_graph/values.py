"""Names, producers, readers and types of a graph's values."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from runtime.errors import ModelError

if TYPE_CHECKING:
    import onnx

FLOAT_TYPES = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Return the node that produces each value."""
    return {name: node for node in graph.node for name in node.output if name}


def readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each value."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            found.setdefault(name, []).append(node)
    return found


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name; text as bytes, as ONNX stores it."""
    from onnx import helper

    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def opset(model: onnx.ModelProto) -> int:
    """Return the opset of a model.

    Raises:
        ModelError: it names none.
    """
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    raise ModelError("the model names no version of the standard ONNX operators")


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every value, as ONNX infers it.

    Raises:
        ModelError: the types cannot be inferred.
    """
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True)
    except (onnx.shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"the types of the model's values cannot be inferred: {error}") from error
    graph = inferred.graph
    types = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = int(value.type.tensor_type.elem_type)
    for node in graph.node:
        for name in node.output:
            if name and not types.get(name):
                raise ModelError(
                    f"the type of {name}, which {node.op_type} {node.name} makes, is unknown: "
                    "only standard ONNX operators can be converted"
                )
    return types


def unused_name(name: str, taken: set[str]) -> str:
    """Return an unused name, and mark it as used."""
    candidates = (name if not number else f"{name}.{number}" for number in count())
    chosen = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(chosen)
    return chosen


def all_names(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all values."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    return names.union(*(set(node.input) | set(node.output) for node in graph.node))


def inner_names(graph: onnx.GraphProto) -> set[str]:
    """Return the names that subgraphs (`If`, `Loop`, `Scan`) read."""
    inner = [
        one
        for node in graph.node
        for entry in node.attribute
        for one in (*([entry.g] if entry.HasField("g") else []), *entry.graphs)
    ]
    names = {name for one in inner for node in one.node for name in node.input}
    names |= {value.name for one in inner for value in one.output}
    return names.union(*(inner_names(one) for one in inner))
