"""Blends the weights of two models of one structure, in their ONNX files.

Fine-tuning leaves networks near enough to each other that a mean of their weights behaves like
something between the two (Wang et al., Deep Network Interpolation, CVPR 2019). Initializers are
found by the wire format of protocol buffers and blended in place, so that no package is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.errors import ModelError

# Field numbers of onnx.proto, stable by the rules of protocol buffers.
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW_DATA = 2, 8, 9

_FLOATS: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}
"""Floating-point types among TensorProto.DataType."""

_FEW_BITS: dict[int, str] = {2: "4 or 8", 3: "8"}
"""Bits of other types that weights are stored in, and those of quantized layers have."""

_CONSTANT = (b"gradient.kernel_", b"gradient.plain_", b"colours.")
"""Beginnings of the names of fixed operators: the same in all models that have them, or in another
form. What one model computes with them, the blend computes too."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
"""Wire types."""


@dataclass(frozen=True, kw_only=True)
class _Weight:
    """Where an initializer's values lie in the file."""

    name: bytes
    dtype: np.dtype[Any]
    begin: int
    end: int


def blend(one: bytes, other: bytes, share: float, *, where: str) -> bytes:
    """Blend two exported models.

    Args:
        one: an ONNX file; everything but the weights is kept.
        other: an ONNX file with the same weights, by name and size.
        share: of `one` in the result, in [0, 1].
        where: names the files in errors.

    Returns:
        An ONNX file of the size of `one`.

    Raises:
        ModelError: a file is damaged or has weights of 4 or 8 bits, or their weights differ in
            names or sizes.
    """
    try:
        weights = list(_weights(one, f"{where}: the first"))
        others = {weight.name: weight for weight in _weights(other, f"{where}: the second")}
    except (IndexError, ValueError) as error:
        raise ModelError(f"{where}: damaged, the weights cannot be found ({error})") from error
    blended = bytearray(one)
    for weight in weights:
        found = others.pop(weight.name, None)
        if found is None or (found.dtype, found.end - found.begin) != (
            weight.dtype,
            weight.end - weight.begin,
        ):
            raise ModelError(
                f"{where}: the models are of different structures, as {weight.name.decode()} shows"
            )
        first = np.frombuffer(one[weight.begin : weight.end], weight.dtype).astype(np.float32)
        second = np.frombuffer(other[found.begin : found.end], weight.dtype).astype(np.float32)
        mixed = np.float32(share) * first + np.float32(1 - share) * second
        blended[weight.begin : weight.end] = mixed.astype(weight.dtype).tobytes()
    if others or not weights:
        raise ModelError(f"{where}: the models do not have the same weights")
    return bytes(blended)


def _weights(model: bytes, where: str) -> Iterator[_Weight]:
    """Yield the trained weights: floating-point, written by exporters in one piece each.

    Raises:
        ModelError: there are others, of 4 or 8 bits.
        IndexError, ValueError: the file is damaged.
    """
    for field, begin, end in _fields(model, 0, len(model)):
        if field == _MODEL_GRAPH:
            for inner, start, stop in _fields(model, begin, end):
                if inner == _GRAPH_INITIALIZER:
                    tensor = {number: (a, b) for number, a, b in _fields(model, start, stop)}
                    kind = _varint(model, tensor[_TENSOR_TYPE][0])[0]
                    if kind in _FEW_BITS:
                        raise ModelError(
                            f"{where} has weights of {_FEW_BITS[kind]}"
                            " bits, which cannot be blended: export it again with `dggn-export "
                            "onnx MODEL --weights float16`"
                        )
                    dtype = _FLOATS.get(kind)
                    if dtype is not None and _TENSOR_RAW_DATA in tensor:
                        name = model[slice(*tensor[_TENSOR_NAME])]
                        first, last = tensor[_TENSOR_RAW_DATA]
                        if not name.startswith(_CONSTANT):
                            yield _Weight(name=name, dtype=dtype, begin=first, end=last)


def _fields(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, begin and end of the value of each field of a message.

    Raises:
        IndexError: the message ends too early.
        ValueError: it is not a message.
    """
    place = begin
    while place < end:
        key, place = _varint(data, place)
        kind = key & 7
        start = place
        if kind == _VARINT:
            _, place = _varint(data, place)
        elif kind == _LENGTH:
            length, start = _varint(data, place)
            place = start + length
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {start}")
        if place > end:
            raise IndexError(f"a field goes beyond byte {end}")
        yield key >> 3, start, place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return an integer of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
