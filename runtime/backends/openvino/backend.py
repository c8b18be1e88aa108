"""OpenVINO backend, which accepts tiles while others are computed."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends.openvino.library import load_openvino, openvino_reason
from runtime.backends.openvino.model import Computed
from runtime.errors import BackendError, Cancelled, DggnError, ImageError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A compiled model and its precision."""

    model: Any
    """OpenVINO's compiled model, from (1, H, W, 3) to (1, scale * H, scale * W, 3)."""

    computed: Computed
    """Precision of most of the computation."""


@dataclass(frozen=True, eq=False)
class _Flight:
    """A tile being computed or waiting for its turn."""

    request: Any
    batch: NDArray[Any]
    deliver: Deliver


class _Lane:
    """One compiled model with its inference requests: one more than run at a time.

    Thus the next tile lies ready when one is done, and results are copied while it is computed.
    """

    def __init__(self, compiled: Compiled, *, is_foreign: bool) -> None:
        self.computed = compiled.computed
        self._is_foreign = is_foreign
        count = 1 + compiled.model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._idle = [compiled.model.create_infer_request() for _ in range(count)]
        self._flying: deque[_Flight] = deque()
        self._tensor = load_openvino().Tensor

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        if not self._idle:
            self.collect()
        request = self._idle.pop()
        batch = np.array(tile_hwc[None], order="C")  # OpenVINO takes nothing read-only
        flight = _Flight(request, batch, deliver)
        self._flying.append(flight)
        request.set_input_tensor(self._tensor(batch, shared_memory=True))
        request.start_async()
        if self._is_foreign:
            # It may fail on this picture alone, so the error must not surface at a later one.
            self.collect()

    def collect(self) -> None:
        """Wait for the oldest tile, and deliver it."""
        flight = self._flying.popleft()
        try:
            flight.request.wait()
            result = flight.request.get_output_tensor(0).data
        except Exception as error:  # OpenVINO's exceptions share no base class of their own.
            self._idle.append(flight.request)
            raise self._failure(error, flight.batch) from error
        flight.deliver(result[0])
        self._idle.append(flight.request)

    def _failure(self, error: Exception, batch: NDArray[Any]) -> DggnError:
        height, width = batch.shape[1:3]
        if self._is_foreign and "alloc" not in str(error).lower():
            # Its requirements are unknown; the next picture may meet them.
            return ImageError(
                f"the model fails on a tile of {height}x{width} px ({openvino_reason(error)}): "
                "choose another --tile, or another model"
            )
        return BackendError(
            f"OpenVINO failed on a tile of {height}x{width} px ({openvino_reason(error)}): "
            "if memory ran out, lower --tile"
        )

    def finish(self) -> None:
        while self._flying:
            self.collect()

    def cancel(self) -> None:
        for flight in list(self._flying):
            # It may have come to its end meanwhile.
            with contextlib.suppress(Exception):
                flight.request.cancel()

    def close(self) -> None:
        """Wait for running requests, and drop their results."""
        while self._flying:
            with contextlib.suppress(Exception):
                self._flying.popleft().request.wait()
        self._idle.clear()


class OpenVinoBackend:
    """Backend that runs a model with OpenVINO.

    Args:
        info: facts of the model.
        of_bytes: takes tiles of 8 bits.
        open_words: compiles, when the first tile of 16 bits comes, what takes those.
        where: description of the library and device, completed with the precision.
        uniform_tiles: see :class:`runtime.tiles.backend.TileTaker`.
        is_foreign: another program wrote the model: what it fails on is a picture's error.
        least_px: height and width of the smallest tile that the model takes.
    """

    largest_tile_px = None

    def __init__(
        self,
        info: ModelInfo,
        of_bytes: Compiled,
        open_words: Callable[[], Compiled],
        *,
        where: str,
        uniform_tiles: bool,
        is_foreign: bool = False,
        least_px: int = 1,
    ) -> None:
        self.info = info
        self.uniform_tiles = uniform_tiles
        self.precision = of_bytes.computed
        self.description = where
        self._least_px = least_px
        self._is_foreign = is_foreign
        self._bytes = _Lane(of_bytes, is_foreign=is_foreign)
        self._open_words = open_words
        self._words: _Lane | None = None
        self._cancelled = False
        self._lock = threading.RLock()

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        """Super-resolve a tile, now or later; see :class:`runtime.tiles.backend.Backend`."""
        with self._lock, self._cancellable():
            lane = self._bytes if tile_hwc.dtype == np.uint8 else self._of_words()
            lane.submit(*self._large_enough(tile_hwc, deliver))

    def finish(self) -> None:
        """Wait until every submitted tile is delivered."""
        with self._lock, self._cancellable():
            for lane in self._lanes():
                lane.finish()

    def cancel(self) -> None:
        """Make every running and later call raise `Cancelled`, from any thread."""
        self._cancelled = True
        for lane in self._lanes():
            lane.cancel()

    def __enter__(self) -> OpenVinoBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()
        with self._lock:
            for lane in self._lanes():
                lane.close()

    def _large_enough(self, tile_hwc: Samples, deliver: Deliver) -> tuple[Samples, Deliver]:
        height, width = (self.info.scale * size for size in tile_hwc.shape[:2])
        missing = [max(0, self._least_px - size) for size in tile_hwc.shape[:2]]
        if not any(missing):
            return tile_hwc, deliver
        padded = np.pad(tile_hwc, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return padded, lambda result: deliver(result[:height, :width])

    def _lanes(self) -> list[_Lane]:
        return [self._bytes] if self._words is None else [self._bytes, self._words]

    def _of_words(self) -> _Lane:
        if self.info.sample_type == "uint8":
            raise ImageError(
                "this model takes 8-bit samples and the picture has 16: convert it to 8 bits, "
                "or use a model exported without `--io uint8`"
            )
        if self._words is None:
            self._words = _Lane(self._open_words(), is_foreign=self._is_foreign)
        return self._words

    @contextlib.contextmanager
    def _cancellable(self) -> Any:
        """Report failures caused by `cancel` as `Cancelled`."""
        if self._cancelled:
            raise Cancelled("the backend was cancelled or closed: open a new one")
        try:
            yield
        except (BackendError, ImageError):
            if self._cancelled:
                raise Cancelled from None
            raise
        if self._cancelled:
            raise Cancelled
