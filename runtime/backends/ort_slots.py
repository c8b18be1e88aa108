"""ONNX Runtime on CUDA, kept busy like TensorRT: in batches, over page-locked memory.

Each slot has a session of its own, which queues its work on the slot's stream and reads and writes
the slot's memory (IO binding); ONNX Runtime copies nothing and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from runtime.backends.cuda.device import Stream
from runtime.backends.in_slots import SlotModel
from runtime.backends.ort_session import load_onnxruntime, make_session
from runtime.backends.trt.layout import layout_of
from runtime.backends.trt.messages import says_out_of_memory
from runtime.backends.trt.slots import BatchShape
from runtime.errors import BackendError, DggnError, OutOfDeviceMemory

SETTINGS = MappingProxyType(
    {
        # The exhaustive search, its default, is repeated for each shape of a batch.
        "cudnn_conv_algo_search": "HEURISTIC"
    }
)
"""Settings of the CUDA provider, by ONNX Runtime's names."""


class SessionExecution:
    """A session of one slot; see :class:`runtime.backends.trt.slots.Execution`.

    Args:
        model: the model.
        index: CUDA device index; None for the CPU, where tests have their streams.
        settings: of the CUDA provider.
    """

    captures_itself = True
    """Whether CUDA graphs are left to the library; a session may allocate memory in any run."""

    def __init__(
        self, model: SlotModel, index: int | None, settings: Mapping[str, str] = SETTINGS
    ) -> None:
        self._model = model
        self._settings = settings
        self._index = index
        self._layout = layout_of(model.info)
        self._type = np.uint8 if model.info.sample_type == "uint8" else np.float32
        self._session: Any = None
        self._binding: Any = None
        self._addresses = (0, 0)
        onnxruntime = load_onnxruntime(extra="gpu")
        self._run_options = onnxruntime.RunOptions()
        # The slot's event tells when a batch is done.
        self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = 1

    def bind(self, stream: Stream, input_address: int, output_address: int) -> None:
        """Create the session, which works on one stream from the start."""
        self._addresses = (input_address, output_address)
        with self._translated("does not load the model"):
            self._session, _ = make_session(
                self._model.path,
                self._options,
                where="cpu" if self._index is None else "cuda",
                device=self._index or 0,
                user_compute_stream=str(stream.handle),
                **self._settings,
            )

    def reshape(self, shape: BatchShape) -> None:
        """Bind the slot's memory as tensors of a shape."""
        batch, height, width = shape
        scale = self._model.info.scale
        shapes = (
            self._layout.shape(batch, height, width),
            self._layout.shape(batch, height * scale, width * scale),
        )
        place = ("cpu", 0) if self._index is None else ("cuda", self._index)
        binding = self._session.io_binding()
        ends = (
            (binding.bind_input, self._session.get_inputs()[0].name),
            (binding.bind_output, self._session.get_outputs()[0].name),
        )
        for (bind, name), tensor, address in zip(ends, shapes, self._addresses, strict=True):
            bind(name, *place, self._type, tensor, address)
        self._binding = binding

    def enqueue(self) -> None:
        """Queue the inference of a batch."""
        with self._translated("failed"):
            self._session.run_with_iobinding(self._binding, self._run_options)

    def free(self) -> None:
        """Free the session."""
        self._binding = self._session = None

    def _translated(self, what: str) -> _Translated:
        return _Translated(f"ONNX Runtime {what}")


class _Translated:
    """Converts ONNX Runtime's exceptions, which share no public base class, to ours."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, DggnError) or not isinstance(error, Exception):
            return
        message = f"{self._what} on CUDA ({error})"
        if says_out_of_memory(str(error)):
            raise OutOfDeviceMemory(
                f"{message}: close other programs that use the GPU, or lower --tile"
            ) from error
        raise BackendError(f"{message}: use --backend cpu to run without the GPU") from error
