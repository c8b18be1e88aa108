"""ONNX Runtime on CUDA, kept busy as TensorRT is: in batches, over page-locked memory.

Each slot has a session of its own, which queues its work on the slot's stream and reads and writes
the slot's memory (IO binding); ONNX Runtime copies nothing and waits for nothing.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runtime.backends.cuda.device import Device, Stream
from runtime.backends.ort_session import load_onnxruntime, make_session
from runtime.backends.trt.fit import submit_fitted
from runtime.backends.trt.layout import layout_of
from runtime.backends.trt.messages import says_out_of_memory
from runtime.backends.trt.slots import BatchShape, Say, Slots
from runtime.errors import BackendError, Cancelled, DggnError, OutOfDeviceMemory
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver

SLOTS = 2
"""Batches at once: one computes while the other one's results leave and its tiles come."""


@dataclass(frozen=True, kw_only=True)
class SlotModel:
    """A model, and how it is to run."""

    path: Path
    """The ONNX file, with bytes or floats in and out as `info.sample_type` says."""

    info: ModelInfo
    """Its facts."""

    precision: str
    """What it computes in, for people."""

    tile_px: int
    """Largest height and width of a tile, in LR pixels."""

    batch: int
    """Most tiles at a time."""

    @property
    def least_px(self) -> int:
        """Smallest height and width of a tile."""
        return self.info.size_multiple_px


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


class OrtSlotsBackend:
    """Runs a model of ours with ONNX Runtime on one GPU.

    Args:
        model: the model.
        device: the GPU; closed by the backend, also if this fails.
        name: of the GPU, for people.
        say: receives one-line status messages.
        index: CUDA device index; None for the CPU, as in :class:`SessionExecution`.

    Raises:
        BackendError: ONNX Runtime does not start on CUDA.
        OutOfDeviceMemory: there is no room.
    """

    uniform_tiles = True

    def __init__(
        self, model: SlotModel, device: Device, name: str, *, say: Say, index: int | None
    ) -> None:
        self._model = model
        self._device = device
        self._name = name
        self._lock = threading.Lock()
        self._cancelled = self._closed = False
        self._failure: BaseException | None = None
        self._slots: Slots | None = None
        try:
            with device.active():
                self._slots = Slots(
                    device,
                    lambda number: SessionExecution(model, index),
                    layout_of(model.info),
                    scale=model.info.scale,
                    count=SLOTS,
                    batch=model.batch,
                    tile_px=model.tile_px,
                    say=say,
                )
        except BaseException:
            self.__exit__(None, None, None)
            raise

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        return self._model.info

    @property
    def description(self) -> str:
        """What runs where, for people."""
        return f"ONNX Runtime on CUDA in {self._model.precision}, {self._name}"

    @property
    def precision(self) -> str:
        """What it computes in."""
        return self._model.precision

    @property
    def largest_tile_px(self) -> int:
        """Largest tile; larger ones are cut once more."""
        return self._model.tile_px

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; see :class:`runtime.tiles.backend.Backend`."""
        layout_of(self.info).check(tile_hwc)
        self._work(partial(submit_fitted, tile_hwc, deliver))

    def finish(self) -> None:
        """Wait until all that was submitted is delivered."""
        self._work(None)

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._cancelled = True

    def __enter__(self) -> OrtSlotsBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self._cancelled = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
            slots, self._slots = self._slots, None
            # A device that failed may refuse this too, which nobody could do anything about.
            with suppress(BackendError), self._device.active():
                if slots is not None:
                    slots.close()
            self._device.close()

    def _work(self, submit: partial[None] | None) -> None:
        """Feed a tile to the device, or finish; after a failure every later call fails alike."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                if self._cancelled or self._slots is None:
                    raise Cancelled("the backend was cancelled or closed: make a new one")
                with self._device.active():
                    if submit is None:
                        self._slots.finish()
                    else:
                        submit(self._slots.submit, self._model)
            except BaseException as error:
                self._failure = error
                raise
