"""What the tensors inside a model come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from runtime.errors import BackendError

if TYPE_CHECKING:
    import onnx


def evaluate(
    model: onnx.ModelProto, names: Sequence[str], feeds: Iterable[NDArray[Any]]
) -> Iterator[list[NDArray[Any]]]:
    """Run a model on the CPU.

    Args:
        model: not changed.
        names: of the tensors to look at, within the graph or its outputs.
        feeds: for its only input, one after the other.

    Yields:
        The tensors' values, for each feed.

    Raises:
        BackendError: ONNX Runtime failed.
    """
    import onnx
    import onnxruntime

    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    (read,) = (value.name for value in model.graph.input)
    try:
        session = onnxruntime.InferenceSession(
            asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for feed in feeds:
            yield session.run(list(names), {read: feed})
    except Exception as error:  # ONNX Runtime's exceptions share no public base class.
        raise BackendError(f"ONNX Runtime failed on the model: {error}") from error
