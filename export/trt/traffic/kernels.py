"""Kernels, the memory that they move, and the speed that this allows: a roofline.

On a fast GPU most kernels wait for memory, so the bytes that they read and write, with the products
beside them, bound the speed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

BYTES = {
    "Bool": 1,
    "UInt8": 1,
    "Int8": 1,
    "FP8": 1,
    "Half": 2,
    "BFloat16": 2,
    "Float": 4,
    "Int32": 4,
    "Int64": 8,
}
"""Of a value, by the name that the log gives its type."""


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """What bounds a GPU's speed."""

    name: str

    flops: float
    """Dense float16 products and sums a second, with float32 sums, at the clock it holds."""

    bytes: float
    """Of memory, read or written a second, in practice."""


ROOFLINES = (
    Roofline(name="H100", flops=798e12, bytes=3.0e12),
    Roofline(name="RTX 4090", flops=165e12, bytes=0.92e12),
)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """What a kernel reads or writes."""

    name: str
    shape: tuple[int, ...]
    type: str
    """As the log says it: `Half`."""

    @property
    def bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * BYTES[self.type]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One kernel of an engine."""

    name: str
    """The builder's, made of what it does: `__myl_CorrMulMax_myl0_5`."""

    layer: str
    """The builder's kind: `correlation` is a convolution."""

    nodes: tuple[str, ...]
    """The ONNX nodes that it computes, or parts of them."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    """Of its convolutions."""

    @property
    def bytes(self) -> int:
        """Read and written, without weights, which are few. A slice counts all it reads from."""
        return sum(tensor.bytes for tensor in self.inputs + self.outputs)

    @property
    def is_transposed(self) -> bool:
        """Whether its convolution is a transposed one."""
        return self.layer == "deconvolution" or "Deco" in self.does

    @property
    def pixels(self) -> int:
        """To which its convolution's weights are applied; without one, that it writes."""
        if self.weights:  # (out, in, height, width), or (in, out, height, width)
            tensor = self.inputs[0] if self.is_transposed else self.outputs[0]
            return math.prod(tensor.shape) // self.weights[-1].shape[0]
        output = self.outputs[0]
        # Bytes are NHWC, which the network's own values never are by their shape.
        return math.prod(output.shape) // output.shape[-1 if output.type == "UInt8" else 1]

    @property
    def flops(self) -> int:
        """Products and sums of its convolutions."""
        return 2 * self.pixels * sum(math.prod(weight.shape) for weight in self.weights)

    @property
    def does(self) -> str:
        """The builder's shorthand of its steps, where it has one: `CorrMulMax`."""
        found = re.match(r"__myl_([A-Za-z]+)_", self.name)
        return found[1] if found else ""

    @property
    def is_slice(self) -> bool:
        """Whether it only copies a part of a tensor."""
        return self.does == "Slic"

    @property
    def is_cast(self) -> bool:
        """Whether it only changes a type."""
        return self.does == "Cast"

    @property
    def is_float32(self) -> bool:
        """Whether it writes float32."""
        return any(tensor.type == "Float" for tensor in self.outputs)

    def seconds(self, gpu: Roofline) -> float:
        """The least it takes: memory or products, whichever takes longer."""
        return max(self.bytes / gpu.bytes, self.flops / gpu.flops)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """All kernels of an engine for one tile."""

    kernels: tuple[Kernel, ...]

    activation_bytes: int
    """Memory that the engine takes for a tile beside its weights, input and output."""

    tile_px: int
    """Input pixels per side."""

    scale: int
    """Output pixels per input pixel, along each axis."""

    @property
    def pixels(self) -> int:
        """Of the output."""
        return (self.tile_px * self.scale) ** 2

    @property
    def bytes_per_pixel(self) -> float:
        """Read and written, per output pixel."""
        return sum(kernel.bytes for kernel in self.kernels) / self.pixels

    @property
    def flops_per_pixel(self) -> float:
        """Products and sums of convolutions, per output pixel."""
        return sum(kernel.flops for kernel in self.kernels) / self.pixels

    def ceiling(self, gpu: Roofline) -> float:
        """Output pixels a second that a GPU cannot exceed with these kernels."""
        return self.pixels / sum(kernel.seconds(gpu) for kernel in self.kernels)

    def kind(self, kernel: Kernel) -> str:
        """A word for people: what a kernel does, and of what size its pixels are."""
        if kernel.weights:
            height, width = kernel.weights[-1].shape[2:]
            word = "transposed convolutions" if kernel.is_transposed else "convolutions"
            return f"{height}×{width} {word} at {self._size(kernel)}"
        if kernel.is_slice:
            return "slices"
        if kernel.is_cast:
            return "casts"
        if "pool" in kernel.layer:
            return "pooling"
        if "Resi" in kernel.does:
            return f"resizing and what follows, at {self._size(kernel)}"
        if kernel.does and "Tran" in kernel.does:
            return f"shuffles and transposes, at {self._size(kernel)}"
        return "other"

    def _size(self, kernel: Kernel) -> str:
        # Padding changes sizes a little: the nearest power of two.
        power = round(math.log2(math.sqrt(kernel.pixels) / self.tile_px))
        return f"×{2**power}" if power >= 0 else f"×1/{2**-power}"
