"""Weights stored in fewer bits than the graph computes with.

    float16:  Conv(x, W) = Conv(x, Cast(W16))
    int8:     Conv(x, W) = Conv(x, Cast(Cast(W8)) * s),   s for each output channel

up to the rounding of W. ONNX Runtime, OpenVINO and TensorRT fold what no input changes when they
load the model, so nothing is slower. :func:`dggn.onnx_graph.fold.fold_constants` folds it here.

The stored tensor keeps the weight's name; `s` is beside it as `NAME.scale`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Storage = Literal["float16", "int8"]

LARGEST_INT8 = 127

SCALE_BITS = 16
"""Significant bits of a scale: with the seven of an integer they fit float32's 24, so that products
are exact, and weights that were rounded once are not changed by rounding them again."""

LEAST_SCALE = np.float32(2.0**-100)
"""Scale below which a channel is stored as zero; its products would leave float32's range."""


def choose_storage(asked: Storage, dimensions: int) -> Storage:
    """Return how a parameter is stored: kernels of convolutions as asked, all others as float16.

    Others are few, and a scale for each of their values would save nothing.
    """
    return asked if dimensions == 4 else "float16"


def rounded(values: NDArray[np.float32], storage: Storage) -> NDArray[np.float32]:
    """Return float32 values as they come back from their storage.

    Args:
        values: finite weights; of int8, the first axis has the output channels.
        storage: how they are stored. Values beyond float16 become infinite in it.
    """
    if storage == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    return _from_int8(*_to_int8(values))


def store_weights(model: onnx.ModelProto, storages: Mapping[str, Storage]) -> None:
    """Store float32 initializers in fewer bits, in place.

    What reads one reads what is computed from its stored form. Nothing is lost of weights that were
    :func:`rounded`, as all are that :func:`fold_constants` made float32.

    Args:
        model: names that it does not have, or not as float32, are passed over.
        storages: how to store each initializer, by name.
    """
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    scales = []
    nodes: dict[str, list[onnx.NodeProto]] = {}
    for tensor in graph.initializer:
        name = tensor.name
        if name not in storages or tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if storages[name] == "float16":
            stored: NDArray[np.generic] = values.astype(np.float16)
        else:
            stored, scale = _to_int8(values)
            scales.append(numpy_helper.from_array(scale, scale_name(name)))
        tensor.CopyFrom(numpy_helper.from_array(stored, name))
        if name in read:
            nodes[name] = _reading_nodes(name, storages[name])
    graph.initializer.extend(scales)
    for node in graph.node:
        node.input[:] = [_float32_name(name) if name in nodes else name for name in node.input]
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
        The weights by name: float32 those stored as int8, all others in the type of the file.

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
        if array.dtype == np.int8:
            scale = read(scale_name(name)) if scale_name(name) in tensors else None
            if scale is None or not is_scale(scale, array.shape):
                raise ValueError(f"{name} has 8 bits, and no scale for each output channel")
            array = _from_int8(array, scale)
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"{name} is {array.dtype}")
        weights[name] = array  # type: ignore[assignment]
    return weights


def scale_name(name: str) -> str:
    """Return the name of the scales of a weight stored as int8."""
    return f"{name}.scale"


def is_scale(scale: NDArray[np.generic], shape: tuple[int, ...]) -> bool:
    """Return whether an array can be the scales of an int8 weight of some shape."""
    return scale.dtype == np.float32 and scale.shape == (*shape[:1], *[1] * (len(shape) - 1))


def scales_of(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the names of the scales of all weights stored as int8, by the weight's name.

    The integers of quantized layers are not among them: those are what the layer computes with.
    """
    from onnx import TensorProto

    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {
        name: scale_name(name)
        for name, data_type in types.items()
        if data_type == TensorProto.INT8 and scale_name(name) in types
    }


def _float32_name(name: str) -> str:
    return f"{name}.float32"


def _reading_nodes(name: str, storage: Storage) -> list[onnx.NodeProto]:
    """Return the nodes that compute the float32 weight from its stored form."""
    from onnx import TensorProto, helper

    def cast(source: str, target: str, to: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=to)

    result = _float32_name(name)
    if storage == "float16":
        return [cast(name, result, TensorProto.FLOAT)]
    wide, integers = f"{name}.int32", f"{name}.integers"
    # OpenVINO would not fold a product of a cast int8: it takes it for a quantized layer's.
    return [
        cast(name, wide, TensorProto.INT32),
        cast(wide, integers, TensorProto.FLOAT),
        helper.make_node("Mul", [integers, scale_name(name)], [result], name=f"{name}.scaled"),
    ]


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
