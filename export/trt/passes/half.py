"""Converts most of a graph to float16, leaving parts of it in float32.

Every node computes in one type. A value is cast where a node that reads it wants another type than
the node that makes it has, once for all such readers. Weights are stored in the type that their
readers want. What the file says is what a strongly typed TensorRT computes.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

import numpy as np

from dggn.onnx_graph.values import FLOAT_TYPES, all_names, element_types, unused_name
from runtime.errors import ModelError

if TYPE_CHECKING:
    import onnx

LARGEST_HALF = 65504.0
"""Largest finite float16 value."""


def to_half(model: onnx.ModelProto, float32: Set[int]) -> None:
    """Convert all nodes except `float32` to float16, in place.

    Inputs and outputs keep their types.

    Args:
        model: float32, weights as initializers, nodes in topological order.
        float32: positions of the nodes that stay as they are.

    Raises:
        ModelError: a weight does not fit float16, or the graph cannot be converted.
    """
    _Conversion(model, float32).run()


class _Conversion:
    def __init__(self, model: onnx.ModelProto, float32: Set[int]) -> None:
        from onnx import TensorProto

        self.model = model
        self.graph = model.graph
        self.float32 = float32
        self.types = element_types(model)
        self.taken = all_names(model.graph)
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.single, self.half = int(TensorProto.FLOAT), int(TensorProto.FLOAT16)
        self.versions = {entry.domain: entry.version for entry in model.opset_import}
        self.nodes: list[onnx.NodeProto] = []
        self.casts: dict[tuple[str, int], str] = {}
        self.now: dict[str, int] = {}
        """Current type, in the new graph, of each value that had float32."""

    def run(self) -> None:
        outputs = {value.name for value in self.graph.output}
        for number, node in enumerate(list(self.graph.node)):
            if any(entry.HasField("g") or entry.graphs for entry in node.attribute):
                raise ModelError(
                    f"{node.op_type} {node.name} contains a subgraph, which cannot be converted to "
                    "float16: use --precision fp32"
                )
            places = _float_places(node, self.versions)
            if places is None:
                self.nodes.append(node)
                continue
            reads, makes = places
            wanted = self.single if number in self.float32 else self.half
            for place, name in enumerate(node.input):
                if self.types.get(name) == self.single:
                    node.input[place] = self._as(name, wanted if place in reads else self.single)
            self.nodes.append(node)
            for place in sorted(makes):
                name = node.output[place]
                if self.types.get(name) == self.single and wanted == self.half:
                    self.now[name] = self.half
                    if name in outputs:
                        self._keep_output(node, place)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]

    def _as(self, name: str, wanted: int) -> str:
        """Return the name under which a float32 value of the old graph is available in a type."""
        if not name or self.now.get(name, self.single) == wanted:
            return name
        if (name, wanted) not in self.casts:
            suffix = "half" if wanted == self.half else "float32"
            other = unused_name(f"{name}.{suffix}", self.taken)
            self.casts[name, wanted] = other
            if name in self.stored:
                self.graph.initializer.append(_half_weight(self.stored[name], other))
            else:
                self.nodes.append(self._cast(name, other, wanted))
        return self.casts[name, wanted]

    def _keep_output(self, node: onnx.NodeProto, place: int) -> None:
        """Preserve the type of a graph output produced by a float16 node."""
        name = node.output[place]
        inner = unused_name(f"{name}.half", self.taken)
        node.output[place] = inner
        self.nodes.append(self._cast(inner, name, self.single))
        self.now[name] = self.single
        self.casts[name, self.half] = inner

    def _cast(self, source: str, target: str, wanted: int) -> onnx.NodeProto:
        from onnx import helper

        return helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=wanted)


def _half_weight(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0))
    if not largest <= LARGEST_HALF:
        raise ModelError(
            f"the weight {tensor.name} reaches {largest:g}, and float16 ends at "
            f"{LARGEST_HALF:g}: use --precision fp32"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)


def _float_places(
    node: onnx.NodeProto, versions: dict[str, int]
) -> tuple[set[int], set[int]] | None:
    """Return the inputs and outputs of a node that can change from float32 to float16 together.

    An operator's schema gives each input and output a type variable. Those that share the first
    output's (or, where that cannot be float16, the first input's) change together; the others, such
    as the scales of `Resize`, keep their types. None for nodes that convert types or only look at
    shapes: they read whatever there is.
    """
    import onnx

    if node.op_type in ("Cast", "CastLike", "Shape", "Size", "ConstantOfShape", "EyeLike"):
        return None
    try:
        schema = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain)
    except (onnx.defs.SchemaError, KeyError):
        return set(), set()  # of another program: float32 is what it was made for
    half_capable = {
        entry.type_param_str
        for entry in schema.type_constraints
        if "tensor(float16)" in entry.allowed_type_strs
    }

    def variables(formal: object, count: int) -> list[str]:
        entries = list(formal)  # type: ignore[call-overload]
        # The last one may be variadic.
        return [entries[min(place, len(entries) - 1)].type_str for place in range(count)]

    ins = variables(schema.inputs, len(node.input)) if schema.inputs else []
    outs = variables(schema.outputs, len(node.output)) if schema.outputs else []
    variable = next((one for one in (*outs, *ins) if one in half_capable), None)
    if variable is None:
        return set(), set()
    return (
        {place for place, one in enumerate(ins) if one == variable},
        {place for place, one in enumerate(outs) if one == variable},
    )


def float_types_left(model: onnx.ModelProto) -> dict[str, int]:
    """Count weights by floating-point type."""
    from onnx import TensorProto

    counts: dict[str, int] = {}
    for tensor in model.graph.initializer:
        name = str(TensorProto.DataType.Name(tensor.data_type))
        if name in FLOAT_TYPES:
            counts[name] = counts.get(name, 0) + int(np.prod(tensor.dims, dtype=np.int64))
    return counts
