"""ONNX Runtime backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.ort_session import CUDA, Where, load_onnxruntime, make_session
from runtime.errors import BackendError, Cancelled, ImageError
from runtime.image.picture import Samples
from runtime.model.files import check_model_file
from runtime.model.foreign import foreign_facts
from runtime.model.info import PREFIX, ModelInfo
from runtime.model.tensors import TensorFormat, tensor_format_of
from runtime.system.cores import usable_cores
from runtime.tiles.backend import Deliver


class OrtBackend:
    """Backend that runs an ONNX model with ONNX Runtime.

    Args:
        path: the file; one that `dggn-export` did not write is tried (`runtime.model.foreign`).
        threads: CPU threads; by default one per core that this process may use.
        where: `auto` is on CUDA where that works, else on the CPU.
        device: CUDA device index.

    Raises:
        MissingDependency: onnxruntime is not installed.
        ModelError: the file is damaged or enlarges no pictures.
        BackendError: ONNX Runtime cannot start, or not on CUDA where that is asked for.
    """

    largest_tile_px = None

    no_cuda: str
    """Why it is not on CUDA; empty where it is, or was not to be."""

    is_foreign: bool
    """Whether another program wrote the model."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int | None = None,
        where: Where = "auto",
        device: int = 0,
    ) -> None:
        onnxruntime = load_onnxruntime(extra="gpu" if where == "cuda" else "cpu")
        check_model_file(path)
        self._threads = threads or usable_cores()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Spinning between operators would take the cores that decode and encode need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session, self.no_cuda = make_session(path, options, where=where, device=device)
        self._device = device
        self._run_options = onnxruntime.RunOptions()
        self._cancelled = False
        self.is_foreign = False
        self.info, self.tensors, self.least_px = self._facts(path)
        """Facts, tensor format, and height and width of the smallest tile computed unpadded."""

    def _facts(self, path: Path) -> tuple[ModelInfo, TensorFormat, int]:
        """Return the model's facts, its tensor format and the smallest input size."""
        properties = self._session.get_modelmeta().custom_metadata_map
        if any(name.startswith(PREFIX) for name in properties):
            info = ModelInfo.from_metadata(properties, where=str(path))
            return info, tensor_format_of(info), 1
        self.is_foreign = True
        inputs, outputs = (
            [(value.type, value.shape) for value in values]
            for values in (self._session.get_inputs(), self._session.get_outputs())
        )
        found = foreign_facts(inputs, outputs, self._infer, where=str(path))
        return found.info, found.tensors, found.least_px

    @property
    def description(self) -> str:
        """Human-readable name of the library, device and thread count."""
        if self._on_cuda:
            return "ONNX Runtime on CUDA" + (f", GPU {self._device}" if self._device else "")
        plural = "" if self._threads == 1 else "s"
        return f"ONNX Runtime on the CPU, {self._threads} thread{plural}"

    @property
    def precision(self) -> str:
        """Precision of the computation, which is the model file's."""
        return self.info.precision

    @property
    def uniform_tiles(self) -> bool:
        """True on CUDA, where every new shape is tuned first."""
        return self._on_cuda

    @property
    def _on_cuda(self) -> bool:
        return bool(self._session.get_providers()[0] == CUDA)

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile at once; see :class:`runtime.tiles.backend.Backend`."""
        deliver(self.run(tile_hwc[None])[0])

    def finish(self) -> None:
        """Do nothing: every tile is delivered on submission."""
        if self._cancelled:
            raise Cancelled

    def run(self, tiles_nhwc: Samples) -> Samples:
        """Super-resolve a batch.

        Args:
            tiles_nhwc: (N, H, W, 3), as :meth:`submit` takes them.

        Returns:
            (N, scale * H, scale * W, 3), the same type.

        Raises:
            BackendError: ONNX Runtime failed.
            ImageError: the model takes 8-bit samples only, and these have 16; or another program's
                model fails on this picture.
            Cancelled: :meth:`cancel` was called.
        """
        if self._cancelled:
            raise Cancelled("the backend was cancelled or closed: open a new one")
        if self.info.sample_type == "uint8" and tiles_nhwc.dtype != np.uint8:
            raise ImageError(
                "this model takes 8-bit samples and the picture has 16: convert it to 8 bits, "
                "or use a model exported without `--io uint8`"
            )
        height, width = tiles_nhwc.shape[1:3]
        missing = [max(0, self.least_px - size) for size in (height, width)]
        if any(missing):
            padding = ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0))
            tiles_nhwc = np.pad(tiles_nhwc, padding, mode="edge")
        result = self.tensors.read(self._infer(self.tensors.fed(tiles_nhwc)), tiles_nhwc)
        scale = self.info.scale
        return result[:, : scale * height, : scale * width]

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._cancelled = True
        self._run_options.terminate = True

    def __enter__(self) -> OrtBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()

    def _infer(self, batch: NDArray[Any]) -> NDArray[Any]:
        try:
            name = self._session.get_inputs()[0].name
            (output,) = self._session.run(None, {name: batch}, self._run_options)
        except Exception as error:  # they share no public base class
            if self._cancelled:
                raise Cancelled from None
            height, width = batch.shape[1:3] if batch.shape[-1] == 3 else batch.shape[2:]
            if self.is_foreign and not self._on_cuda and "alloc" not in str(error).lower():
                # Who knows what it asks of pictures; the next one may suit it.
                raise ImageError(
                    f"the model fails on a tile of {height}x{width} px ({error}): choose another "
                    "--tile, or another model"
                ) from error
            raise BackendError(
                f"ONNX Runtime failed on a tile of {height}x{width} px ({error}): "
                "if memory ran out, lower --tile"
            ) from error
        if not np.isfinite(output).all():
            if self.is_foreign and not self._on_cuda:
                raise ImageError(
                    "the model's output is not finite for this picture: choose another model"
                )
            raise BackendError(
                "the network's output is not finite: this model cannot be used on this device"
            )
        result: NDArray[Any] = output
        return result
