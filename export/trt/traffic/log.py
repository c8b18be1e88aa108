"""Parses kernels, their shapes and types from the build log of TensorRT-RTX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from export.trt.traffic.kernels import Kernel, Tensor, Traffic
from runtime.errors import BackendError

_KERNEL = re.compile(
    r"^Name: (?P<name>[^,]+), LayerType: (?P<layer>\w+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], TacticName: (?P<rest>.*)$",
    re.MULTILINE,
)
_TENSOR = re.compile(
    r"Name: (?P<name>[^,]+), Dimensions: \[(?P<shape>[\d,]*)\].*?Datatype: (?P<type>\w+), "
)
_NODE = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_LAYERS = "Layers:\n"
_EVENTS = frozenset(["signal", "wait"])
"""Synchronization between streams of parallel branches, which is not a kernel."""

_ACTIVATIONS = re.compile(r"^Total Activation Memory: (\d+) bytes$")


def read_log(messages: Sequence[str], *, tile_px: int, scale: int) -> Traffic:
    """Find the kernels in a builder's messages.

    Args:
        messages: messages of all severities.
        tile_px: input pixels per side that the engine was built for.
        scale: scale of the model.

    Raises:
        BackendError: a part is missing, as it would be if another version said it otherwise.
    """
    layers = [text for text in messages if text.startswith(_LAYERS)]
    activations = [found[1] for text in messages if (found := _ACTIVATIONS.match(text))]
    entries = [found for text in layers for found in _KERNEL.finditer(text)]
    said = sum(text.count(", LayerType: ") for text in layers)
    kernels = [_kernel(found) for found in entries if found["layer"] not in _EVENTS]
    if not kernels or len(entries) != said or len(activations) != 1:
        raise BackendError(
            f"the builder's log could not be parsed ({len(entries)} of {said} kernels, "
            f"{len(activations)} totals of memory): this reads what TensorRT-RTX 1.7 writes"
        )
    return Traffic(
        kernels=tuple(kernels),
        activation_bytes=int(activations[0]),
        tile_px=tile_px,
        scale=scale,
    )


def _kernel(found: re.Match[str]) -> Kernel:
    # A kernel that uses a tensor in two of its steps names it twice, and reads it once.
    return Kernel(
        name=found["name"],
        layer=found["layer"],
        nodes=tuple(_NODE.findall(found["rest"])),
        inputs=tuple(dict.fromkeys(_tensors(found["inputs"]))),
        outputs=tuple(_tensors(found["outputs"])),
        weights=tuple(
            one for one in _tensors(found["constants"]) if len(one.shape) == 4 and one.shape[0] > 1
        ),
    )


def _tensors(text: str) -> list[Tensor]:
    return [
        Tensor(
            name=found["name"],
            shape=tuple(int(one) for one in found["shape"].split(",") if one),
            type=found["type"],
        )
        for found in _TENSOR.finditer(text)
    ]
