"""Reads everything in a PNG file except the samples, whatever its size."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import IO

from PIL.PngImagePlugin import PngImageFile

from runtime.codecs.colour_marks import colours_of_png
from runtime.codecs.leftovers import png_leftovers
from runtime.codecs.png_chunks import SAMPLES, SIGNATURE, Chunks, chunk_bytes, chunks_of
from runtime.errors import ImageReadError
from runtime.image.stated_colours import StatedColours

_PARTS_OF_ANIMATION = (b"acTL", b"fcTL")
_WITH_ALPHA = (4, 6)
_PALETTE = 3
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""By colour type."""

_CLEAR, _RESTORE = 1, 2


@dataclass(frozen=True, kw_only=True)
class FrameControl:
    """Position and blending of an animation frame: an fcTL chunk."""

    size_hw: tuple[int, int]
    left: int
    top: int
    duration_ms: float
    disposal: int
    """0 keeps, 1 clears and 2 restores the area drawn on."""
    is_over: bool

    @staticmethod
    def of(content: bytes) -> FrameControl:
        """Parse a chunk.

        Raises:
            ImageReadError: it is too short.
        """
        if len(content) < 26:
            raise ImageReadError("is damaged (a frame's block is too short): export it again")
        _, width, height, left, top, over, under, disposal, blend = struct.unpack_from(
            ">5I2H2B", content
        )
        return FrameControl(
            size_hw=(height, width),
            left=left,
            top=top,
            duration_ms=1000 * over / (under or 100),
            disposal=disposal,
            is_over=blend == 1,
        )


@dataclass(frozen=True, kw_only=True)
class PngHeader:
    """Everything in a file except the samples."""

    size_hw: tuple[int, int]
    has_alpha: bool
    """Whether the picture, or any frame, has alpha."""
    is_deep: bool
    is_interlaced: bool
    controls: tuple[FrameControl, ...]
    """Frames of an animation; empty for a single picture."""
    has_still: bool
    """Whether an animation includes a still picture for viewers without animation."""
    plays: int
    """Loop count of an animation; 0 for ever."""
    colours: StatedColours | None
    """Colours stated without a profile."""
    data: bytes
    """A PNG file of one black pixel with everything else in the file."""
    notes: tuple[str, ...]

    def image(self) -> PngImageFile:
        """Load that one-pixel file."""
        image = PngImageFile(io.BytesIO(self.data))
        image.load()
        return image


def read_png_header(file: IO[bytes]) -> PngHeader:
    """Read everything but the samples.

    Raises:
        ImageReadError: what the picture depends on is damaged.
    """
    return header_of_chunks(chunks_of(file))


def header_of_chunks(chunks: Chunks) -> PngHeader:
    """Parse a file's chunks.

    Raises:
        ImageReadError: it has no sound header, or its colours cannot be read.
    """
    first = chunks.kept[0]
    if first.name != b"IHDR" or len(first.content) < 13:
        raise ImageReadError("is damaged (its header is missing): copy or export it again")
    width, height, depth, colour = struct.unpack_from(">IIBB", first.content)
    if not width or not height:
        raise ImageReadError("is damaged (it has no pixels): copy or export it again")
    if depth not in _DEPTHS.get(colour, ()):
        raise ImageReadError("is damaged (its header is invalid): copy or export it again")
    if colour == _PALETTE and not chunks.of(b"PLTE"):
        raise ImageReadError("is damaged (its palette is missing): copy or export it again")
    parts = [SIGNATURE]
    for chunk in chunks.kept:
        content = chunk.content
        if chunk.name in (*SAMPLES, *_PARTS_OF_ANIMATION):
            continue
        if chunk is first:
            content = struct.pack(">II", 1, 1) + content[8:12] + b"\0"
        elif chunk.name == b"IEND":
            parts.append(chunk_bytes(b"IDAT", zlib.compress(bytes(1 + 8))))
        parts.append(chunk_bytes(chunk.name, content))
    controls, has_still = _animation(chunks, (height, width))
    clears = any(_leaves_holes(control, (height, width)) for control in controls)
    return PngHeader(
        size_hw=(height, width),
        has_alpha=colour in _WITH_ALPHA or bool(chunks.of(b"tRNS")) or clears,
        is_deep=depth == 16 and not controls,
        is_interlaced=bool(first.content[12]),
        controls=controls,
        has_still=has_still,
        plays=struct.unpack_from(">I", chunks.of(b"acTL")[0], 4)[0] if controls else 0,
        colours=colours_of_png(chunks),
        data=b"".join(parts),
        notes=(*chunks.notes, *png_leftovers(chunks)),
    )


def _animation(chunks: Chunks, size_hw: tuple[int, int]) -> tuple[tuple[FrameControl, ...], bool]:
    """Return an animation's frames, none for a single picture, and whether a still is separate."""
    names = [chunk.name for chunk in chunks.kept]
    starts = chunks.of(b"acTL")
    # Whoever writes it twice or too late means no animation, say the specification and browsers.
    if len(starts) != 1 or len(starts[0]) < 8 or names.index(b"acTL") > _place(names, b"IDAT"):
        return (), False
    (count,) = struct.unpack_from(">I", starts[0])
    has_still = _place(names, b"fcTL") > _place(names, b"IDAT")
    contents = chunks.of(b"fcTL")
    if count == 0 or (count == 1 and not has_still):
        return (), False
    if len(contents) < count:
        raise ImageReadError("is damaged (frames are missing): copy or export it again")
    controls = tuple(FrameControl.of(content) for content in contents[:count])
    for control in controls:
        bottom, right = control.top + control.size_hw[0], control.left + control.size_hw[1]
        if min(control.size_hw) < 1 or bottom > size_hw[0] or right > size_hw[1]:
            raise ImageReadError("is damaged (a frame lies outside): copy or export it again")
    return controls, has_still


def _place(names: list[bytes], name: bytes) -> int:
    return names.index(name) if name in names else len(names)


def _leaves_holes(control: FrameControl, size_hw: tuple[int, int]) -> bool:
    """Return whether an opaque frame can leave transparent areas behind."""
    return control.disposal in (_CLEAR, _RESTORE) or control.size_hw != size_hw
