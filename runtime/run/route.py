"""Decides, before computing, whether a picture is upscaled whole or in strips."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from runtime.codecs.decode import decode
from runtime.codecs.frames import all_frames, all_frames_with_8_bits
from runtime.codecs.header import read_outline
from runtime.codecs.limits import MAX_PIXELS, TooManyPixels
from runtime.codecs.output import OutputSettings, passes_for
from runtime.codecs.vips import VipsReader
from runtime.errors import ImageReadError
from runtime.image.picture import Picture
from runtime.image.strip_source import EightBitReader, PictureReader, StripReader
from runtime.image.strips import header_of
from runtime.model.info import ModelInfo
from runtime.run.memory import RESULT_SHARE

SOURCE_BYTES_PER_PX = 16
"""Maximum bytes per pixel to decode an 8-bit source; 16-bit ones are rare and take twice that."""


class Route:
    """Opens sources whole or in strips, whichever fits into memory.

    Args:
        info: facts of the model.
        settings: output settings.
        whole_bytes: larger results are made in strips; a quarter of the memory limit.
    """

    def __init__(self, info: ModelInfo, settings: OutputSettings, *, whole_bytes: int) -> None:
        self._info = info
        self._settings = settings
        self.whole_bytes = whole_bytes
        self.memory_bytes = RESULT_SHARE * whole_bytes
        self.max_pixels = min(MAX_PIXELS, self.memory_bytes // 2 // SOURCE_BYTES_PER_PX)
        """Maximum pixels of a source that is decoded whole."""

    def is_whole(self, result_bytes: int) -> bool:
        """Return whether a result is made whole."""
        return result_bytes <= self.whole_bytes

    def foresee(self, source: Path) -> tuple[Picture, int, bool]:
        """Predict what :meth:`open` will return, from the source's header.

        Returns:
            Its size and kind (`strips.header_of`), its number of frames or pages, and whether it
            will be made in strips.

        Raises:
            ImageError: as `open`, as far as the header tells.
        """
        try:
            outline = read_outline(source, max_pixels=self.max_pixels)
        except TooManyPixels:
            return VipsReader(source, memory_bytes=self.memory_bytes).header, 1, True
        is_deep = outline.is_deep and self._info.sample_type != "uint8"
        pixel = np.zeros((1, 1, 3), np.uint16 if is_deep else np.uint8)
        header = header_of(
            Picture(rgb_hwc=pixel, alpha_hw=pixel[..., 0] if outline.has_alpha else None),
            outline.size_hw,
        )
        result_bytes = outline.frames * header.nbytes * self._growth([outline.size_hw])
        in_strips = not self.is_whole(result_bytes)
        if in_strips and outline.frames > 1:
            raise _too_many_pages(source, outline.frames, result_bytes)
        return header, outline.frames, in_strips

    def open(self, source: Path) -> Picture | StripReader:
        """Decode a source, or open it for reading in strips.

        Raises:
            ImageReadError: it cannot be read, or is too large for any way.
            ImageWriteError: the model does not enlarge as much as is asked for.
        """
        reduce = self._info.sample_type == "uint8"
        try:
            picture = decode(source, max_pixels=self.max_pixels)
        except TooManyPixels:
            reader: StripReader = VipsReader(source, memory_bytes=self.memory_bytes)
            return EightBitReader(reader) if reduce else reader
        if reduce:
            picture, notes = all_frames_with_8_bits(picture)
            picture.notes += notes
        result_bytes = picture.nbytes * self._growth(page.size_hw for page in all_frames(picture))
        if self.is_whole(result_bytes):
            return picture
        if picture.more:
            raise _too_many_pages(source, 1 + len(picture.more), result_bytes)
        return PictureReader(picture)

    def _growth(self, sizes_hw: Iterable[tuple[int, int]]) -> int:
        """Return the factor by which upscaling multiplies the samples of all frames or pages."""
        scale = self._info.scale
        growth: int = scale ** (2 * passes_for(sizes_hw, self._settings, scale))
        return growth


def _too_many_pages(source: Path, pages: int, result_bytes: int) -> ImageReadError:
    return ImageReadError(
        f"{source.name}: the result of its {pages} frames or pages takes "
        f"{result_bytes / 1e9:.1f} GB, which is too large for memory: save them as files of their "
        "own, or allow more with --memory"
    )
