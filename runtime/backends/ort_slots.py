"""ONNX Runtime on CUDA, kept busy as TensorRT is: in batches, over page-locked memory.

Each slot has a session of its own, which queues its work on the slot's stream and reads and writes
the slot's memory (IO binding); ONNX Runtime copies nothing and waits for nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.backends.cuda.device import Stream
from runtime.backends.in_slots import SlotModel
from runtime.backends.ort_session import load_onnxruntime, make_session
from runtime.backends.trt.layout import layout_of
from runtime.backends.trt.messages import says_out_of_memory
from runtime.backends.trt.slots import BatchShape
from runtime.errors import BackendError, DggnError, OutOfDeviceMemory


class SessionExecution:
    """A session of one slot; see :class:`runtime.backends.trt.slots.Execution`.

    Args:
        model: the model.
        index: CUDA device index; None for the CPU, where tests have their streams.
    """

    captures_itself = True
    """No CUDA graphs are made: a session may allocate memory in any run."""

    def __init__(self, model: SlotModel, index: int | None) -> None:
        self._model = model
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
        """Make the session, which works on a stream from its beginning."""
        self._addresses = (input_address, output_address)
        with self._translated("does not load the model"):
            self._session, _ = make_session(
                self._model.path,
                self._options,
                where="cpu" if self._index is None else "cuda",
                device=self._index or 0,
                user_compute_stream=str(stream.handle),
                # The exhaustive search, its default, is repeated for each shape of a batch.
                cudnn_conv_algo_search="HEURISTIC",
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
        """Give it back."""
        self._binding = self._session = None

    def _translated(self, what: str) -> _Translated:
        return _Translated(f"ONNX Runtime {what}")


class _Translated:
    """Makes the family's errors of ONNX Runtime's, which share no public base class."""

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
        raise BackendError(f"{message}: --backend cpu does without the GPU") from error
