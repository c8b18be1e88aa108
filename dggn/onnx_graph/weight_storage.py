"""Weights stored in fewer bits than the graph computes with.

    float16:  Conv(x, W) = Conv(x, Cast(W16))
    int8:     Conv(x, W) = Conv(x, Cast(Cast(W8)) * s),   s for each output channel
    int4:     Conv(x, W) = Conv(x, Reshape((unpack(W4) - 7.5) * s)),   s for each block of 32

up to the rounding of W. ONNX Runtime, OpenVINO and TensorRT fold what no input changes when they
load the model, so nothing is slower. :func:`dggn.onnx_graph.fold.fold_constants` folds it here.

The stored tensor keeps the weight's name; `s` is beside it as `NAME.scale`. Blocks of int4 run
along an output channel, (channels, blocks, 32), and a byte holds two weights, `low + 16 * high`:
ONNX has a type of 4 bits since opset 21 only, later than the one that our files have.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dggn.onnx_graph.int4 import BLOCK, LEVELS, is_packed, pack_int4, unpack_int4

if TYPE_CHECKING:
    import onnx

Storage = Literal["float16", "int8", "int4"]

LARGEST_INT8 = 127

SCALE_BITS = 16
"""Significant bits of a scale: with the seven of an integer they fit float32's 24, so that products
are exact, and weights that were rounded once are not changed by rounding them again."""

LEAST_SCALE = np.float32(2.0**-100)
"""Scale below which a channel is stored as zero; its products would leave float32's range."""

_FLOAT32 = "float32"


def choose_storage(asked: Storage, shape: Sequence[int]) -> Storage:
    """Return how a parameter is stored: kernels of convolutions as asked, all others as float16.

    Others are few, and a scale for each of their values would save nothing; neither would int4 for
    kernels whose channels are not whole blocks.
    """
    fits = len(shape) == 4 and (asked != "int4" or math.prod(shape[1:]) % BLOCK == 0)
    return asked if fits else "float16"


def rounded(values: NDArray[np.float32], storage: Storage) -> NDArray[np.float32]:
    """Return float32 values as they come back from their storage.

    What was rounded once is not changed by rounding it again.

    Args:
        values: finite weights; of int8 and int4, the first axis has the output channels.
        storage: how they are stored. Values beyond float16 become infinite in it.
    """
    if storage == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    if storage == "int8":
        return _from_int8(*_to_int8(values))
    return unpack_int4(*pack_int4(values), values.shape)


def store_weights(model: onnx.ModelProto, storages: Mapping[str, Storage]) -> None:
    """Store float32 initializers in fewer bits, in place.

    What reads one reads what is computed from its stored form. Nothing is lost of weights that were
    :func:`rounded`, as all are that :func:`fold_constants` made float32.

    Args:
        model: names that it does not have, or not as float32, are passed over.
        storages: how to store each initializer, by name; int4 takes channels of whole blocks only.
    """
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    added = []
    nodes: dict[str, list[onnx.NodeProto]] = {}
    for tensor in graph.initializer:
        name = tensor.name
        if name not in storages or tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        stored, others = _stored(name, values, storages[name])
        added += [numpy_helper.from_array(array, other) for other, array in others.items()]
        tensor.CopyFrom(numpy_helper.from_array(stored, name))
        if name in read:
            nodes[name] = reading_nodes(name, storages[name])
    graph.initializer.extend(added)
    for node in graph.node:
        node.input[:] = [float32_name(name) if name in nodes else name for name in node.input]
    old = list(graph.node)
    del graph.node[:]
    graph.node.extend(node for name in sorted(nodes) for node in nodes[name])
    graph.node.extend(old)


def read_weights(graph: onnx.GraphProto, names: Collection[str]) -> dict[str, NDArray[np.floating]]:
    """Read initializers, however they are stored.

    Args:
        graph: an exported one.
        names: initializers that it has.

    Returns:
        The weights by name: float32 those stored as int8 or int4, all others in the type of the
        file.

    Raises:
        ValueError: a weight is damaged, has no scale, is not of numbers with a fraction, or is kept
            in another file.
    """
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}

    def read(name: str) -> NDArray[np.generic]:
        if tensors[name].data_location == TensorProto.EXTERNAL:
            # It could name any file of this machine: it is never followed.
            raise ValueError(f"{name} is in another file")
        array: NDArray[np.generic] = numpy_helper.to_array(tensors[name])
        return array

    weights: dict[str, NDArray[np.floating]] = {}
    for name in names:
        array = read(name)
        scale = read(scale_name(name)) if scale_name(name) in tensors else None
        if array.dtype == np.int8:
            if scale is None or not is_scale(scale, array.shape):
                raise ValueError(f"{name} has 8 bits, and no scale for each output channel")
            array = _from_int8(array, scale)
        elif array.dtype == np.uint8:
            shape = read(shape_name(name)) if shape_name(name) in tensors else None
            if scale is None or shape is None or not is_packed(array, scale, shape):
                raise ValueError(f"{name} has 4 bits, and no shape or no scale for each block")
            array = unpack_int4(array, scale, tuple(shape.tolist()))
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"{name} is {array.dtype}")
        weights[name] = array  # type: ignore[assignment]
    return weights


def scale_name(name: str) -> str:
    """Return the name of the scales of a weight stored as int8 or int4."""
    return f"{name}.scale"


def shape_name(name: str) -> str:
    """Return the name of the shape of a weight stored as int4."""
    return f"{name}.shape"


def is_scale(scale: NDArray[np.generic], shape: tuple[int, ...]) -> bool:
    """Return whether an array can be the scales of an int8 weight of some shape."""
    return scale.dtype == np.float32 and scale.shape == (*shape[:1], *[1] * (len(shape) - 1))


def scales_of(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the names of the scales of all weights stored as int8 or int4, by the weight's name.

    The integers of quantized layers are not among them: those are what the layer computes with.
    """
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {
        name: scale_name(name)
        for name in types
        if _integers_of(types, name) and scale_name(name) in types
    }


def count_weights(tensor: onnx.TensorProto) -> int:
    """Return how many weights an initializer holds that :func:`scales_of` names."""
    from onnx import TensorProto

    count: int = math.prod(tensor.dims)
    return 2 * count if tensor.data_type == TensorProto.UINT8 else count


def _integers_of(types: Mapping[str, int], name: str) -> bool:
    from onnx import TensorProto

    kind = types[name]
    return kind == TensorProto.INT8 or (kind == TensorProto.UINT8 and shape_name(name) in types)


def _stored(
    name: str, values: NDArray[np.float32], storage: Storage
) -> tuple[NDArray[np.generic], dict[str, NDArray[np.generic]]]:
    """Return a weight as it is stored, and what is stored beside it, by name."""
    if storage == "float16":
        return values.astype(np.float16), {}
    if storage == "int8":
        integers, scale = _to_int8(values)
        return integers, {scale_name(name): scale}
    packed, block_scale = pack_int4(values)
    shape = np.array(values.shape, np.int64)
    return packed, {scale_name(name): block_scale, shape_name(name): shape}


def float32_name(name: str) -> str:
    """Return the name of the weight that is computed from its stored form."""
    return f"{name}.{_FLOAT32}"


def reading_nodes(name: str, storage: Storage) -> list[onnx.NodeProto]:
    """Return the nodes that compute the float32 weight from its stored form."""
    from onnx import TensorProto, helper

    def node(kind: str, inputs: Sequence[str], part: str, **values: Any) -> str:
        output = f"{name}.{part}"
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **values))
        return output

    def constant(part: str, value: float) -> str:
        return node("Constant", [], part, value_float=float(value))

    nodes: list[onnx.NodeProto] = []
    if storage == "float16":
        node("Cast", [name], _FLOAT32, to=TensorProto.FLOAT)
        return nodes
    # OpenVINO would not fold a product of a cast int8: it takes it for a quantized layer's.
    wide = node("Cast", [name], "int32", to=TensorProto.INT32)
    integers = node("Cast", [wide], "integers", to=TensorProto.FLOAT)
    if storage == "int8":
        node("Mul", [integers, scale_name(name)], _FLOAT32)
        return nodes
    scale = node("Cast", [scale_name(name)], "scale.float32", to=TensorProto.FLOAT)
    sixteen = constant("sixteen", LEVELS)
    high = node("Floor", [node("Div", [integers, sixteen], "shifted")], "high")
    low = node("Sub", [integers, node("Mul", [high, sixteen], "masked")], "low")
    both = node("Concat", [low, high], "levels", axis=2)
    values = node("Sub", [both, constant("middle", (LEVELS - 1) / 2)], "values")
    scaled = node("Mul", [values, scale], "scaled")
    node("Reshape", [scaled, shape_name(name)], _FLOAT32)
    return nodes


def _to_int8(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return integers in [-127, 127] of the same shape, and scales (channels, 1, ...)."""
    others = tuple(range(1, values.ndim))
    largest = np.abs(values).max(axis=others, keepdims=True, initial=0)
    mantissa, exponent = np.frexp(largest / np.float32(LARGEST_INT8))
    levels = np.float32(2**SCALE_BITS)
    scale = np.ldexp(np.rint(mantissa * levels) / levels, exponent)
    scale = np.where(scale < LEAST_SCALE, np.float32(1), scale)
    return np.rint(values / scale).astype(np.int8), scale.astype(np.float32)


def _from_int8(integers: NDArray[np.generic], scale: NDArray[np.generic]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = integers.astype(np.float32) * scale.astype(np.float32)
    return product
