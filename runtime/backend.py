"""What a backend is: something that super-resolves batches of tiles."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from runtime.model_info import ModelInfo
from runtime.picture import Samples


class Backend(Protocol):
    """Super-resolves batches of tiles with one model.

    Used as a context manager; leaving it frees the device.
    """

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""

    @property
    def description(self) -> str:
        """What runs where, for people: for example `ONNX Runtime on the CPU, 2 threads`."""

    @property
    def batch_size(self) -> int:
        """How many tiles :meth:`run` likes best."""

    def run(self, tiles_nhwc: Samples) -> Samples:
        """Super-resolve a batch.

        Args:
            tiles_nhwc: (N, H, W, 3), uint8 or uint16, RGB over the type's full range;
                H and W multiples of `info.size_multiple_px`.

        Returns:
            (N, scale * H, scale * W, 3), the same type, rounded and clamped.

        Raises:
            BackendError: the inference library failed.
            ImageError: the model takes 8-bit samples only, and these have 16.
            Cancelled: :meth:`cancel` was called.
        """

    def cancel(self) -> None:
        """Make the running and every later :meth:`run` raise `Cancelled`, from any thread."""

    def __enter__(self) -> Backend:
        """The backend itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the device."""
