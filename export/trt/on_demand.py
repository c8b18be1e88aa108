"""Builds engines on demand for a run that finds none in the cache."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.backends.gpu import Gpu
    from runtime.backends.trt.request import EngineRequest


class EngineBuilder:
    """Builder of TensorRT engines that reuses current ones, as `dggn-export trt` does.

    Args:
        quiet: whether to suppress messages.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._cancelled = threading.Event()
        self._builds = 0
        self._changed = threading.Condition()

    def __call__(self, onnx: Path, request: EngineRequest, gpu: Gpu) -> Path:
        """Build an engine of a model file on a GPU.

        Raises:
            DggnError: it cannot be built.
            Cancelled: :meth:`cancel` was called.
        """
        from export.trt.command import build_or_reuse, read_model
        from runtime.system.terminal import show_progress

        with self._changed:
            self._builds += 1
        try:
            with show_progress(quiet=self._quiet, transient=True) as (say, on_progress):
                say(
                    f"building a TensorRT engine of {onnx.stem} for this GPU: this takes "
                    "minutes, once; --no-build skips it"
                )
                return build_or_reuse(
                    read_model(onnx, request.flavor),
                    request,
                    gpu,
                    say=say,
                    on_progress=on_progress,
                    cancelled=self._cancelled,
                ).path
        finally:
            with self._changed:
                self._builds -= 1
                self._changed.notify_all()

    def cancel(self, *, within_s: float) -> None:
        """Cancel all builds from another thread, and let them clean up.

        Args:
            within_s: maximum seconds to wait for that.
        """
        self._cancelled.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._builds, within_s)
