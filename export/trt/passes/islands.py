"""Finds the nodes that must stay in float32 when the rest uses float16.

- The gradient operator through its square root: one grey level squared is 1.5e-5 and its square
  root's argument is kept from zero by 1e-6; neither has three digits in float16.
- Means over many samples, exponentials and what depends on them: the statistics of
  squeeze-and-excitation from behind its mean to the sigmoid, and that mean too, where it is taken
  over more than a small window.
- Q/DQ nodes whose scales are so small that float16 has no full precision for them.
- The picture's own way through the network: the bilinear skip, the last addition, and whatever
  shuffles, scales, clips and rounds the result. float16 has 11 bits, a 16-bit picture has more.

All are found by structure, not by name, so that models of other programs profit too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dggn.onnx_graph.values import element_types

if TYPE_CHECKING:
    import onnx

DELICATE = frozenset(
    [
        "CumSum",
        "Einsum",
        "Erf",
        "Exp",
        "GlobalAveragePool",
        "InstanceNormalization",
        "LayerNormalization",
        "Log",
        "LogSoftmax",
        "LpNormalization",
        "Pow",
        "Reciprocal",
        "ReduceL1",
        "ReduceL2",
        "ReduceMean",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Sigmoid",
        "Softmax",
        "Sqrt",
    ]
)
"""Operators that always lose too much precision in float16."""

SMALL_WINDOW_MOST = 64
"""Maximum samples of a mean in float16, 8 by 8: with every partial sum rounded to float16, the
worst order there is, dggn-lite-photo stays within 121 dB of its usual result.
"""

POOLS = frozenset(["AveragePool", "GlobalAveragePool", "ReduceMean"])
GATE_STEPS = frozenset(
    ["Add", "Cast", "Clip", "Conv", "Gemm", "LeakyRelu", "MatMul", "PRelu", "Relu"]
)
GATE_STEPS_MOST = 8
"""Maximum search depth from a sigmoid back to its mean; there are two small layers between them."""

BEFORE_ROOT = frozenset(["Add", "Sub", "Mul", "Pad", "Slice", "Concat", "Conv"])
FIXED_FILTER_MOST = 64
"""Convolutions with no more weights than this are hand-written operators, not trained layers."""

QUANTIZERS = frozenset(["QuantizeLinear", "DequantizeLinear"])
LEAST_NORMAL_HALF = 2.0**-14

FINISHING = frozenset(
    [
        *("Add", "AveragePool", "Cast", "Clip", "Div", "Identity", "Max", "Min", "Mul", "Pad"),
        *("Round", "Slice", "Sub", "Transpose"),
    ]
)
"""Operators allowed between the last layer and the output."""

TYPED_BY_THEMSELVES = QUANTIZERS | {"Cast", "CastLike"}
"""Operators whose output type is their purpose."""


def float32_nodes(model: onnx.ModelProto) -> set[int]:
    """Return the indices of the nodes that stay in float32.

    Args:
        model: weights as initializers, nodes in topological order.
    """
    nodes = list(model.graph.node)
    sizes = _trained_sizes(model)
    maker = {name: number for number, node in enumerate(nodes) for name in node.output if name}

    def before(number: int) -> list[int]:
        return [maker[name] for name in nodes[number].input if name in maker]

    found = {
        number
        for number, node in enumerate(nodes)
        if node.op_type in DELICATE or _is_large_pool(node)
    }
    tiny = _tiny_weights(model)
    found |= {
        number
        for number, node in enumerate(nodes)
        if node.op_type in QUANTIZERS and node.input[1] in tiny
    }
    for number in sorted(found):
        if nodes[number].op_type == "Sigmoid":
            found.update(_gate(nodes, number, before))
    todo = [
        one for number in sorted(found) if nodes[number].op_type == "Sqrt" for one in before(number)
    ]
    while todo:
        number = todo.pop()
        node = nodes[number]
        is_layer = node.op_type == "Conv" and _weights(node, sizes) > FIXED_FILTER_MOST
        if node.op_type in BEFORE_ROOT and not is_layer and number not in found:
            found.add(number)
            todo += before(number)
    trained = _after_layers(nodes, sizes)
    kernels = {tensor.name for tensor in model.graph.initializer} - sizes.keys()
    todo = [maker[value.name] for value in model.graph.output if value.name in maker]
    while todo:
        number = todo.pop()
        untouched = trained.isdisjoint(nodes[number].output)
        # Colours that are enlarged like the picture are added to it, and no less precise.
        untouched |= nodes[number].op_type == "Conv" and nodes[number].input[1] in kernels
        # A shuffle changes no value: what matters is whether the picture is added before it.
        is_shuffle = nodes[number].op_type == "DepthToSpace"
        kinds = [nodes[one].op_type for one in (before(number) if is_shuffle else [number])]
        if untouched or FINISHING.issuperset(kinds):
            found.add(number)
            todo += before(number)
    return found


def float32_layers(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of layers to keep in float32 with a library without strong types.

    Nodes that make a type are left out: whoever asks the cast to bytes for float32 gets an engine
    that gives floats. So are those that make integers, shapes for example.

    Raises:
        ModelError: the types of the graph's values cannot be inferred.
    """
    from onnx import TensorProto

    types = element_types(model)
    return frozenset(
        node.name
        for node in (model.graph.node[number] for number in float32_nodes(model))
        if node.op_type not in TYPED_BY_THEMSELVES
        and all(types[name] == TensorProto.FLOAT for name in node.output if name)
    )


def _is_large_pool(node: onnx.NodeProto) -> bool:
    """Return whether a node averages more samples than float16 allows."""
    if node.op_type != "AveragePool":
        return False
    (window,) = (list(one.ints) for one in node.attribute if one.name == "kernel_shape")
    samples: int = math.prod(window)
    return samples > SMALL_WINDOW_MOST


def _gate(
    nodes: Sequence[onnx.NodeProto], sigmoid: int, before: Callable[[int], list[int]]
) -> list[int]:
    """Return the nodes between a mean and its sigmoid; none if no mean is near."""
    chain: list[int] = []
    above = before(sigmoid)
    while above and len(chain) < GATE_STEPS_MOST:
        kind = nodes[above[0]].op_type
        if kind in POOLS:
            return chain
        if kind not in GATE_STEPS:
            break
        chain.append(above[0])
        above = before(above[0])
    return []


def _after_layers(nodes: Sequence[onnx.NodeProto], sizes: dict[str, int]) -> set[str]:
    """Return the values that depend on a trained layer."""
    found: set[str] = set()
    for node in nodes:
        is_layer = _weights(node, sizes) > FIXED_FILTER_MOST
        if is_layer or any(name in found for name in node.input):
            found |= set(node.output)
    return found


def _trained_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element counts of initializers, except interpolation kernels."""
    from onnx import numpy_helper

    return {
        tensor.name: math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if len(tensor.dims) != 4 or not _interpolates(numpy_helper.to_array(tensor))
    }


def _interpolates(kernel: NDArray[Any]) -> bool:
    """Return whether every output channel of a convolution is a weighted mean of its input."""
    if not np.issubdtype(kernel.dtype, np.floating) or (kernel < 0).any():
        return False
    sums = kernel.sum(axis=(1, 2, 3), dtype=np.float64)
    return bool(np.allclose(sums, 1, rtol=0, atol=1e-3))


def _weights(node: onnx.NodeProto, sizes: dict[str, int]) -> int:
    return sum(sizes.get(name, 0) for name in node.input[1:2])


def _tiny_weights(model: onnx.ModelProto) -> set[str]:
    """Return float weights with a value that would become subnormal or zero in float16."""
    from onnx import TensorProto, numpy_helper

    return {
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT
        and (np.abs(numpy_helper.to_array(tensor)) < LEAST_NORMAL_HALF).any()
    }
