"""Evaluates intermediate tensors on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError
from runtime.image.picture import Samples
from runtime.model.info import SampleType
from runtime.system.package import load

if TYPE_CHECKING:
    import onnx


def as_input(image_hwc: Samples, sample_type: SampleType) -> NDArray[Any]:
    """Convert one picture to a model's input.

    Args:
        image_hwc: (H, W, 3), uint8 or uint16 RGB.
        sample_type: the model's.

    Returns:
        (1, 3, H, W), float32 in [0, 1]; or (1, H, W, 3), as it was, for a model of bytes.
    """
    if sample_type == "uint8":
        return image_hwc[None]
    peak = np.float32(np.iinfo(image_hwc.dtype).max)
    return np.ascontiguousarray(image_hwc.transpose(2, 0, 1)[None].astype(np.float32) / peak)


def evaluate(
    model: onnx.ModelProto, names: Sequence[str], feeds: Iterable[NDArray[Any]]
) -> Iterator[list[NDArray[Any]]]:
    """Run a model, and yield intermediate tensors.

    Args:
        model: not changed.
        names: names of tensors, inside the graph or outputs.
        feeds: values of its only input, one after the other.

    Yields:
        The tensors' values, for each feed.

    Raises:
        BackendError: ONNX Runtime failed.
    """
    import onnx

    onnxruntime = load("onnxruntime", extra="export")
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised; its own log would only repeat it
    (read,) = (value.name for value in model.graph.input)
    try:
        session = onnxruntime.InferenceSession(
            asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for feed in feeds:
            yield session.run(list(names), {read: feed})
    except Exception as error:  # ONNX Runtime's exceptions share no public base class.
        raise BackendError(f"ONNX Runtime failed on the model: {error}") from error
