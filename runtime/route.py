"""Whether a picture is upscaled as a whole or in strips, decided before anything is computed."""

from __future__ import annotations

from pathlib import Path

from runtime.decode import MAX_PIXELS, TooManyPixels, decode
from runtime.errors import ImageReadError
from runtime.frames import all_with_8_bits
from runtime.memory import RESULT_SHARE
from runtime.model_info import ModelInfo
from runtime.picture import Picture
from runtime.strip_reader import EightBitReader, PictureReader, StripReader
from runtime.vips_reader import VipsReader

SOURCE_BYTES_PER_PX = 16
"""What decoding a source takes at most, of 8 bits; 16 bits are rarer and take twice as much."""


class Route:
    """Opens sources in the way that fits into memory.

    Args:
        info: of the model.
        whole_bytes: results that take more are made in strips; a quarter of what may be used.
    """

    def __init__(self, info: ModelInfo, *, whole_bytes: int) -> None:
        self._info = info
        self._whole_bytes = whole_bytes
        self.memory_bytes = RESULT_SHARE * whole_bytes
        self.max_pixels = min(MAX_PIXELS, self.memory_bytes // 2 // SOURCE_BYTES_PER_PX)
        """Of a source that is decoded as a whole."""

    def is_whole(self, result_bytes: int) -> bool:
        """Whether a result is made as a whole."""
        return result_bytes <= self._whole_bytes

    def open(self, source: Path) -> Picture | StripReader:
        """Decode a source, or make ready to read it in strips.

        Raises:
            ImageReadError: it cannot be read, or is too large for any way.
        """
        reduce = self._info.sample_type == "uint8"
        try:
            picture = decode(source, max_pixels=self.max_pixels)
        except TooManyPixels:
            reader: StripReader = VipsReader(source, memory_bytes=self.memory_bytes)
            return EightBitReader(reader) if reduce else reader
        if reduce:
            picture, notes = all_with_8_bits(picture)
            picture.notes += notes
        result_bytes = picture.nbytes * self._info.scale**2
        if self.is_whole(result_bytes):
            return picture
        if picture.more:
            raise ImageReadError(
                f"{source.name}: the result of its {1 + len(picture.more)} frames or pages takes "
                f"{result_bytes / 1e9:.1f} GB, which is too large for memory: save them as files "
                "of their own, or allow more with --memory"
            )
        return PictureReader(picture)
