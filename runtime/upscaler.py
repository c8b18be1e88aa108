"""The `Upscaler` class, which keeps a model loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from numpy.typing import NDArray
from PIL import Image

from runtime.backends.denoise import denoised, own_strength
from runtime.backends.fetch import local_model
from runtime.backends.request import BackendName, BackendRequest
from runtime.backends.select import open_backend, open_default
from runtime.backends.trt.by_depth import BitDepthRouter
from runtime.backends.trt.request import BuildEngine
from runtime.codecs.decode import decode
from runtime.codecs.frames import all_frames
from runtime.codecs.pil import image_from_picture, picture_from_image
from runtime.image.arrays import array_like, picture_from_array
from runtime.image.picture import Picture, Samples
from runtime.image.resize import enlarge_alpha
from runtime.image.strip_source import StripReader
from runtime.image.transparency import fill_transparent, without_steps
from runtime.model.info import (
    DEFAULT_MODEL,
    WantedPrecision,
    file_sha256,
    gpu_default,
    model_name,
    model_path,
)
from runtime.tiles.backend import Backend
from runtime.tiles.plan import check_tiling, default_tile_px
from runtime.tiles.stitch import OnTile, Watched, part_progress, submit_in_tiles
from runtime.tiles.strips import strip_bytes, strip_tile_px, upscale_in_strips

_logger = logging.getLogger(__name__)

AnyImage = TypeVar("AnyImage", Image.Image, NDArray[Any])


class Upscaler:
    """A model, loaded once, that upscales any number of pictures.

    Examples:
        >>> import numpy as np
        >>> import dggn
        >>> with dggn.Upscaler() as upscaler:
        ...     upscaler(np.zeros((20, 30, 3), np.uint8)).shape
        (80, 120, 3)

    Args:
        model: name of a shipped model, path of an ONNX file, or the https URL of one; by default
            `dggn-photo` on NVIDIA GPUs, except with `denoise` or `int8`, and else
            `dggn-lite-photo`.
        tile_size: side of a tile in input pixels, overlap included; by default 256, or more if
            the overlap is large.
        overlap: context on each side of a tile, in input pixels; by default as much as the model
            was measured to need.
        threads: CPU threads; by default, one for each core that this process may use.
        precision: `int8` for that version of a shipped model, if there is one; `float32` keeps
            TensorRT and OpenVINO from computing in less; `bfloat16` is for OpenVINO. By default,
            the fastest that makes the model's pictures.
        backend: `tensorrt`, `cuda`, `openvino`, or `onnxruntime` or `cpu`, which are ONNX Runtime
            on the CPU; by default, the first of these that works.
        devices: CUDA device indices; by default, the first GPU if there is one.
        denoise: strength in [0, 1], for models for photographs: 1, the default, is cleanest; 0
            keeps grain and texture. Costs nothing per pixel.
        openvino_device: device for OpenVINO, by its own name for it: for example `GPU`.
        build: builds missing TensorRT engines, as `export.trt.on_demand.EngineBuilder`
            does; without it, only engines are used that `dggn-export trt` or `dggn-run` has built.
        half: makes a model's float16 version for the backend `cuda`, as
            `export.half_file.half_file` does; without it, only one is used that `dggn-run` has
            made.
        say: receives one-line status messages; by default they are logged.

    Raises:
        ModelError: the model does not exist, or its file is damaged.
        DownloadError: it cannot be downloaded.
        ConfigError: the backend or precision is unknown, or the tile size, overlap or `denoise`
            does not suit the model.
        MissingDependency: no inference library is installed.
        BackendError: the requested backend does not work here.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        tile_size: int | None = None,
        overlap: int | None = None,
        denoise: float | None = None,
        threads: int | None = None,
        precision: WantedPrecision | None = None,
        backend: BackendName = "auto",
        devices: Sequence[int] | None = None,
        openvino_device: str = "CPU",
        build: BuildEngine | None = None,
        half: Callable[[Path], Path] | None = None,
        say: Callable[[str], None] = _logger.info,
    ) -> None:
        request = BackendRequest(
            name=backend,
            precision=precision,
            tile_px=tile_size,
            devices=devices,
            openvino_device=openvino_device,
            threads=threads,
            build=build,
            half=half,
            say=say,
        )
        self._open(model, request, overlap, denoise)

    @classmethod
    def from_request(
        cls,
        model: str | Path | None,
        request: BackendRequest,
        *,
        overlap: int | None = None,
        denoise: float | None = None,
    ) -> Upscaler:
        """Open an upscaler for a command's request.

        Args:
            model: a shipped name or an ONNX file; None for the default.
            request: the backend request.
            overlap: LR pixels of context per side; by default what the model was measured to need.
            denoise: see the class.

        Raises:
            DggnError: see the class.
        """
        upscaler = cls.__new__(cls)
        upscaler._open(model, request, overlap, denoise)
        return upscaler

    def _open(
        self,
        model: str | Path | None,
        request: BackendRequest,
        overlap: int | None,
        denoise: float | None,
    ) -> None:
        def file(name: str) -> Path:
            path = model_path(name, request.precision)
            return path if denoise is None else denoised(path, denoise)

        if model is None:
            on_gpu = gpu_default(request.precision, denoise)
            path, self._backend, self.why = open_default(file(on_gpu), file(DEFAULT_MODEL), request)
        else:
            path = file(local_model(str(model), say=request.say))
            self._backend, self.why = open_backend(path, request)
        with ExitStack() as on_failure:
            on_failure.enter_context(self._backend)
            self._describe(path, request, overlap, denoise)
            on_failure.pop_all()

    def _describe(
        self, path: Path, request: BackendRequest, overlap: int | None, denoise: float | None
    ) -> None:
        self.denoise = own_strength(path) if denoise is None else denoise
        """Strength of denoising; None for models of one strength."""
        self.info = self._backend.info
        self.model_name, self.model_sha256 = model_name(path), file_sha256(path)
        self.overlap = self.info.halo_px if overlap is None else overlap
        self._may_shrink_tiles = request.tile_px is None
        self.tile_size = (
            default_tile_px(self.overlap) if request.tile_px is None else request.tile_px
        )
        check_tiling(
            tile_size=self.tile_size, overlap=self.overlap, multiple=self.info.size_multiple_px
        )

    @property
    def description(self) -> str:
        """Human-readable description of the model, backend and device."""
        name = f"{self.model_name} x{self.info.scale}"
        if self.info.precision != "float32":
            name += f" in {self.info.precision.upper()}"
        return f"{name}, {self._backend.description}"

    @property
    def precision(self) -> str:
        """Precision of most of the work on 8-bit pictures, for example `bfloat16`."""
        return self._backend.precision

    @property
    def backend(self) -> Backend:
        """Backend for the tiles."""
        return self._backend

    def over(self, backend: Backend) -> Upscaler:
        """Return an upscaler that sends the same tiles to another backend of the same model.

        Args:
            backend: for example one that hands its tiles on to this upscaler's.
        """
        other = copy(self)
        other._backend = backend
        return other

    def prepare_deep(self) -> None:
        """Open now what 16-bit pictures need; if not, the first of them does.

        Raises:
            ImageError: it cannot be opened; 8-bit pictures still work.
            Cancelled: the upscaler is closed.
        """
        if isinstance(self._backend, BitDepthRouter):
            self._backend.prepare_deep()

    @property
    def on_gpu(self) -> bool:
        """Whether inference leaves the CPU cores free."""
        return self._backend.uniform_tiles

    @overload
    def __call__(self, image: str | Path) -> Image.Image: ...

    @overload
    def __call__(self, image: AnyImage) -> AnyImage: ...

    def __call__(
        self, image: str | Path | Image.Image | NDArray[Any]
    ) -> Image.Image | NDArray[Any]:
        """Upscale one image.

        Args:
            image: a PIL image of any mode; an array of shape (H, W), (H, W, 3) or (H, W, 4),
                uint8 or uint16, holding grey, RGB or RGBA over the type's full range; or the
                path of a file, of which the first frame or page is read.

        Returns:
            An array for an array, a PIL image otherwise, `info.scale` times larger along each
            axis. PIL images keep their ICC profile, EXIF and resolution; palettes become RGB,
            and 16-bit colours have 8 bits, since Pillow has no mode for them.

        Raises:
            ConfigError: the array has another shape or type.
            ImageReadError: the file cannot be read, the PIL image cannot be loaded, or its
                samples have no meaning as a picture.
            BackendError: the inference library failed.
            ImageError: the model takes 8-bit samples only, and these have 16.
            Cancelled: `cancel` was called.
        """
        if isinstance(image, (str, Path)):
            first = replace(decode(Path(image)), more=())
            return image_from_picture(self.upscale_picture(first))
        if isinstance(image, Image.Image):
            return image_from_picture(self.upscale_picture(picture_from_image(image)))
        picture = self.upscale_picture(picture_from_array(image))
        return array_like(image, picture)

    def upscale_picture(self, picture: Picture, *, on_tile: OnTile | None = None) -> Picture:
        """Upscale a decoded picture and wait for it; see `submit_picture`."""
        results: list[Picture] = []
        watched = Watched(on_tile)
        self.submit_picture(picture, results.append, on_tile=watched)
        self.finish()
        watched.check()
        return results[0]

    def submit_picture(
        self,
        picture: Picture,
        on_done: Callable[[Picture], None],
        *,
        on_tile: OnTile | None = None,
    ) -> None:
        """Submit a decoded picture, with its further frames or pages, to the backend.

        Alpha is enlarged by a resampler. Fully transparent pixels take the colours beside them,
        so that none shows at the edges.

        Args:
            picture: the picture; not changed.
            on_done: takes the result, from any thread, at the latest in `finish`.
            on_tile: receives the completed share of the picture, in (0, 1], after each tile.

        Raises:
            BackendError: the inference library failed.
            ImageError: the model takes 8-bit samples only, and these have 16.
            Cancelled: `cancel` was called.
        """
        pictures = all_frames(picture)
        results: list[Picture | None] = [None] * len(pictures)
        lock, done = threading.Lock(), 0

        def keep(number: int, alpha_hw: Samples | None, rgb_hwc: Samples) -> None:
            nonlocal done
            one = pictures[number]
            results[number] = replace(one, more=(), rgb_hwc=rgb_hwc, alpha_hw=alpha_hw)
            with lock:
                done += 1
                is_last = done == len(pictures)
            if is_last:
                first, *more = [result for result in results if result]
                on_done(replace(first, more=tuple(more)))

        for number, one in enumerate(pictures):
            rgb_hwc, alpha_hw = one.rgb_hwc, one.alpha_hw
            if alpha_hw is not None:
                rgb_hwc = fill_transparent(rgb_hwc, alpha_hw)
                alpha_hw = enlarge_alpha(without_steps(alpha_hw), self.info.scale)
            submit_in_tiles(
                rgb_hwc,
                self._backend,
                partial(keep, number, alpha_hw),
                tile_size=self._quick_tile_px,
                overlap=self.overlap,
                on_tile=part_progress(on_tile, number, len(pictures)),
            )

    @property
    def _quick_tile_px(self) -> int:
        """Return the tile size: less than requested if the backend has reduced its limit."""
        largest = self._backend.largest_tile_px
        if largest is not None and 2 * self.overlap < largest < self.tile_size:
            return largest
        return self.tile_size

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """Yield the rows of a result too large for memory; see `upscale_in_strips`.

        Args:
            reader: the source; read while the strips are asked for.
            on_tile: receives the completed share of the picture, in (0, 1], after each tile.
        """
        return upscale_in_strips(
            reader,
            self._backend,
            tile_size=self._strip_tile_px(reader.header),
            overlap=self.overlap,
            on_tile=on_tile,
        )

    def strip_bytes(self, header: Picture) -> int:
        """Return the size of the largest of `strips` for a source with this header."""
        tile_px = self._strip_tile_px(header)
        return strip_bytes(header, self._backend, tile_size=tile_px, overlap=self.overlap)

    def _strip_tile_px(self, header: Picture) -> int:
        if not self._may_shrink_tiles:
            return self._quick_tile_px
        return strip_tile_px(
            header, self._backend, tile_size=self._quick_tile_px, overlap=self.overlap
        )

    def finish(self) -> None:
        """Wait until everything submitted is done.

        Raises:
            BackendError: the inference library failed.
            Cancelled: `cancel` was called.
        """
        self._backend.finish()

    def cancel(self) -> None:
        """Make the running call and all later ones raise `Cancelled`, from any thread."""
        self._backend.cancel()

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *exception: object) -> None:
        self._backend.__exit__(*exception)
