"""Pictures in, larger pictures out: the runtime's public face."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.backends.select import BackendName, BackendWish, open_backend
from runtime.codecs.frames import all_of
from runtime.codecs.pil import image_from_picture, picture_from_image
from runtime.errors import ConfigError
from runtime.image.picture import Picture, Samples
from runtime.image.resize import enlarge_alpha
from runtime.image.strip_source import StripReader
from runtime.image.transparency import fill_transparent, without_steps
from runtime.model.info import DEFAULT_MODEL, WantedPrecision, file_sha256, model_path
from runtime.tiles.plan import LEAST_DEFAULT_TILE_PX, check_tiling, default_tile_px
from runtime.tiles.stitch import OnTile, submit_in_tiles
from runtime.tiles.strips import strip_bytes, upscale_in_strips

if TYPE_CHECKING:
    from runtime.backends.trt.find_engine import BuildEngine

STRIP_BYTES = 256 << 20
"""A strip of a result takes no more, if tiles of the default size or less can help it."""

_logger = logging.getLogger(__name__)

AnyImage = TypeVar("AnyImage", Image.Image, NDArray[Any])


class Upscaler:
    """Upscales many pictures with one model, loaded once.

    Example:
        >>> import numpy as np
        >>> import dggn
        >>> with dggn.Upscaler() as upscaler:
        ...     upscaler(np.zeros((20, 30, 3), np.uint8)).shape
        (80, 120, 3)

    Args:
        model: a shipped name or an ONNX file.
        tile_size: LR pixels per side fed to the network at once, overlap included; by default
            256, or more where the overlap is large.
        overlap: LR pixels of context per side; by default what the model was measured to need.
        threads: of the CPU; by default every core this process may use.
        precision: `int8` for that version of a shipped model, where there is one; `float32`
            keeps TensorRT and OpenVINO from computing in less; `bfloat16` for OpenVINO. By
            default the quickest that makes the model's pictures.
        backend: `tensorrt`, `cuda`, `openvino`, or `onnxruntime` or `cpu`, which are ONNX Runtime
            on the CPU; by default the first of them that can be used.
        devices: GPUs, as CUDA numbers them; by default the first, where there is any.
        openvino_device: what OpenVINO computes on, as it calls it: for example `GPU`.
        build: builds TensorRT engines; by default, only those are used that
            `dggn-export trt` or `dggn-run` built.
        say: told what a person should know, a line each; by default the log is.

    Raises:
        ModelError: there is no such model, or the file is damaged.
        ConfigError: the tile size or overlap does not suit the model.
        MissingDependency: no inference library is installed.
        BackendError: the backend asked for cannot be used here.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        tile_size: int | None = None,
        overlap: int | None = None,
        threads: int | None = None,
        precision: WantedPrecision | None = None,
        backend: BackendName = "auto",
        devices: Sequence[int] | None = None,
        openvino_device: str = "CPU",
        build: BuildEngine | None = None,
        say: Callable[[str], None] = _logger.info,
    ) -> None:
        path = model_path(str(model), precision)
        wish = BackendWish(
            name=backend,
            precision=precision,
            tile_px=tile_size,
            devices=devices,
            openvino_device=openvino_device,
            threads=threads,
            build=build,
            say=say,
        )
        self._backend, self.why = open_backend(path, wish)
        self.info = self._backend.info
        self.model_sha256 = file_sha256(path)
        self.overlap = self.info.halo_px if overlap is None else overlap
        self.tile_size = default_tile_px(self.overlap) if tile_size is None else tile_size
        self._may_shrink_tiles = tile_size is None
        check_tiling(
            tile_size=self.tile_size, overlap=self.overlap, multiple=self.info.size_multiple_px
        )

    @property
    def description(self) -> str:
        """The model and what runs it where, for people."""
        name = f"{self.info.preset} x{self.info.scale}"
        if self.info.precision != "float32":
            name += f" in {self.info.precision.upper()}"
        return f"{name}, {self._backend.description}"

    @property
    def precision(self) -> str:
        """What most of the work on pictures of 8 bits is computed in: for example `bfloat16`."""
        return self._backend.precision

    @property
    def on_gpu(self) -> bool:
        """Whether the cores are free for other things."""
        return self._backend.uniform_tiles

    def __call__(self, image: AnyImage) -> AnyImage:
        """Upscale one image.

        Args:
            image: a PIL image of any mode, or an array: (H, W), (H, W, 3) or (H, W, 4), uint8
                or uint16, grey, RGB or RGBA over the type's full range.

        Returns:
            The same kind, `info.scale` times larger along each axis. PIL images keep their
            ICC profile; palettes become RGB.

        Raises:
            ConfigError: the array has another shape or type.
            ImageReadError: the PIL image cannot be loaded, or its samples have no meaning as a
                picture.
            BackendError: the inference library failed.
            ImageError: the model takes 8-bit samples only, and these have 16.
            Cancelled: :meth:`cancel` was called.
        """
        if isinstance(image, Image.Image):
            return image_from_picture(self.upscale_picture(picture_from_image(image)))
        picture = self.upscale_picture(_picture_from_array(image))
        return _array_like(image, picture)

    def upscale_picture(self, picture: Picture, *, on_tile: OnTile | None = None) -> Picture:
        """Upscale a decoded picture and wait for it; see :meth:`submit_picture`."""
        results: list[Picture] = []
        self.submit_picture(picture, results.append, on_tile=on_tile)
        self.finish()
        return results[0]

    def submit_picture(
        self,
        picture: Picture,
        on_done: Callable[[Picture], None],
        *,
        on_tile: OnTile | None = None,
    ) -> None:
        """Give a decoded picture with its further frames or pages to the backend.

        Alpha is enlarged by a resampler. Fully transparent pixels take the colours beside them,
        so that none shows at the edges.

        Args:
            picture: the picture; not changed.
            on_done: takes the result, from any thread, at the latest in :meth:`finish`.
            on_tile: told the share of the picture that is done, in (0, 1], after each tile.

        Raises:
            BackendError: the inference library failed.
            ImageError: the model takes 8-bit samples only, and these have 16.
            Cancelled: :meth:`cancel` was called.
        """
        pictures = all_of(picture)
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
                on_tile=_part_of(on_tile, number, len(pictures)),
            )

    @property
    def _quick_tile_px(self) -> int:
        """What tiles are cut to: less than asked for where the backend has come to need less."""
        largest = self._backend.largest_tile_px
        if largest is not None and 2 * self.overlap < largest < self.tile_size:
            return largest
        return self.tile_size

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        """The rows of a result that is too large for memory; see `upscale_in_strips`.

        Args:
            reader: the source; read while the strips are asked for.
            on_tile: told the share of the picture that is done, in (0, 1], after each tile.
        """
        return upscale_in_strips(
            reader,
            self._backend,
            tile_size=self._strip_tile_px(reader.header),
            overlap=self.overlap,
            on_tile=on_tile,
        )

    def strip_bytes(self, header: Picture) -> int:
        """How much memory the largest of :meth:`strips` takes, of a source with this header."""
        return self._strip_bytes(header, self._strip_tile_px(header))

    def _strip_tile_px(self, header: Picture) -> int:
        """What tiles of strips are cut to: less than the default where a row of it takes much."""
        tile_px, step = self._quick_tile_px, self.info.size_multiple_px
        least = max(LEAST_DEFAULT_TILE_PX, 2 * self.overlap + step)
        if self._may_shrink_tiles:
            while tile_px - step >= least and self._strip_bytes(header, tile_px) > STRIP_BYTES:
                tile_px -= step
        return tile_px

    def _strip_bytes(self, header: Picture, tile_px: int) -> int:
        return strip_bytes(header, self._backend, tile_size=tile_px, overlap=self.overlap)

    def finish(self) -> None:
        """Wait until all that was submitted is done.

        Raises:
            BackendError: the inference library failed.
            Cancelled: :meth:`cancel` was called.
        """
        self._backend.finish()

    def cancel(self) -> None:
        """Make the running and every later call raise `Cancelled`, from any thread."""
        self._backend.cancel()

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *exception: object) -> None:
        self._backend.__exit__(*exception)


def upscale(image: AnyImage, *, model: str | Path = DEFAULT_MODEL) -> AnyImage:
    """Upscale one image; for many, :class:`Upscaler` loads the model only once.

    Example:
        >>> from PIL import Image
        >>> import dggn
        >>> dggn.upscale(Image.new("L", (30, 20))).size
        (120, 80)

    Args:
        image: see :meth:`Upscaler.__call__`.
        model: a shipped name or an ONNX file.

    Returns:
        The same kind of image, larger.

    Raises:
        DggnError: see :class:`Upscaler`.
    """
    with Upscaler(model) as upscaler:
        return upscaler(image)


def _part_of(on_tile: OnTile | None, number: int, count: int) -> OnTile | None:
    if on_tile is None or count == 1:
        return on_tile
    return lambda share: on_tile((number + share) / count)


def _picture_from_array(image: NDArray[Any]) -> Picture:
    if image.dtype not in (np.uint8, np.uint16):
        raise ConfigError(f"the array's type is {image.dtype}: expected uint8 or uint16")
    if image.ndim == 2 and image.size:
        return Picture(rgb_hwc=np.repeat(image[..., None], 3, axis=2), is_grey=True)
    if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
        raise ConfigError(
            f"the array's shape is {image.shape}: expected (H, W), (H, W, 3) or (H, W, 4)"
        )
    return Picture(rgb_hwc=image[..., :3], alpha_hw=image[..., 3] if image.shape[2] == 4 else None)


def _array_like(image: NDArray[Any], picture: Picture) -> NDArray[Any]:
    if image.ndim == 2:
        return picture.grey_hw()
    if picture.alpha_hw is None:
        return picture.rgb_hwc
    return np.dstack((picture.rgb_hwc, picture.alpha_hw))
