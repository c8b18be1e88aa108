"""Routes tiles by bit depth: 8-bit ones to a byte engine, 16-bit ones to a float engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from runtime.errors import Cancelled, DggnError, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Backend, Deliver


class BitDepthRouter:
    """Backend that routes tiles to the engine of their bit depth; most runs need only one.

    Args:
        of_bytes: backend for 8-bit tiles; closed with this.
        open_floats: opens the backend for 16-bit tiles, when the first one comes.
    """

    uniform_tiles = True

    def __init__(self, of_bytes: Backend, open_floats: Callable[[], Backend]) -> None:
        self._of_bytes = of_bytes
        self._open_floats = open_floats
        self._of_floats: Backend | None = None
        self._problem = ""
        self._opening = threading.Lock()
        self._cancelled = False

    @property
    def info(self) -> ModelInfo:
        """Facts of the model, with both bit depths accepted."""
        return replace(self._of_bytes.info, sample_type="float32")

    @property
    def description(self) -> str:
        """Human-readable name of the library, precision and GPU."""
        return self._of_bytes.description

    @property
    def precision(self) -> str:
        """Precision for 8-bit tiles."""
        return self._of_bytes.precision

    @property
    def largest_tile_px(self) -> int | None:
        """Largest tile; larger ones are split."""
        return self._of_bytes.largest_tile_px

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; see :class:`runtime.tiles.backend.Backend`."""
        backend = self._of_bytes if tile_hwc.dtype == np.uint8 else self._floats()
        backend.submit(tile_hwc, deliver)

    def finish(self) -> None:
        """Wait until every submitted tile is delivered."""
        self._of_bytes.finish()
        if self._of_floats is not None:
            self._of_floats.finish()

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._cancelled = True
        self._of_bytes.cancel()
        if self._of_floats is not None:
            self._of_floats.cancel()

    def prepare_deep(self) -> None:
        """Open the backend for 16-bit tiles now, from any thread; building an engine takes minutes.

        Raises:
            ImageError: there is no such engine; 8-bit pictures still work.
            Cancelled: it was cancelled or closed.
        """
        self._floats()

    def __enter__(self) -> BitDepthRouter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()
        if self._of_floats is not None:
            self._of_floats.__exit__(*exception)
        self._of_bytes.__exit__(*exception)

    def _floats(self) -> Backend:
        """Return the backend for 16-bit tiles, opened for the first of them.

        Raises:
            ImageError: there is no such engine; 8-bit pictures still work.
        """
        with self._opening:
            if self._of_floats is None and not self._problem and not self._cancelled:
                try:
                    self._of_floats = self._open_floats()
                except DggnError as error:
                    self._problem = str(error)
        if self._cancelled:
            raise Cancelled("the backend was cancelled or closed: open a new one")
        if self._of_floats is None:
            raise ImageError(
                f"the picture has 16 bits, which needs an engine of its own: {self._problem}. "
                "`dggn-export trt --io float32` builds it; --backend cuda and cpu need none"
            )
        return self._of_floats
