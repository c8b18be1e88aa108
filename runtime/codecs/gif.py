"""Reads GIF: decodes each frame as a file of its own, and composes them as browsers do.

What a frame does not draw on is transparent, and so is what it leaves when it is cleared, whatever
background colour the file states. Pillow heeds that colour.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

import numpy as np
from PIL import Image

from runtime.codecs.leftovers import gif_leftovers
from runtime.codecs.limits import quiet_pillow
from runtime.codecs.pil import loaded_picture
from runtime.errors import ImageReadError
from runtime.image.layers import Afterwards, Layer, composed_frames
from runtime.image.picture import Picture

_IMAGE, _EXTENSION, _END = 0x2C, 0x21, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_CLEAR, _RESTORE = 2, 3
_AFTERWARDS: dict[int, Afterwards] = {_CLEAR: "clear", _RESTORE: "restore"}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame as stored in the file."""

    size_hw: tuple[int, int]
    left: int
    top: int
    flags: int
    """Flags of the image descriptor: palette and interlacing."""
    clear_index: int | None
    """Palette index of transparent pixels."""
    duration_ms: float
    disposal: int
    start: int
    """Offset of the local palette, or of the samples."""
    stop: int


@dataclass(frozen=True, kw_only=True)
class Gif:
    """Structure of a GIF file, without its samples."""

    size_hw: tuple[int, int]
    begin: bytes
    """Signature, screen descriptor and palette."""
    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()
    """Notes on what results do not hold."""

    @property
    def has_alpha(self) -> bool:
        """Return whether any pixel may be transparent."""
        return any(
            frame.clear_index is not None
            or frame.disposal in (_CLEAR, _RESTORE)
            or (number == 0 and not _covers(frame, self.size_hw))
            for number, frame in enumerate(self.frames)
        )


def is_gif(begin: bytes) -> bool:
    """Return whether a file's first bytes are those of a GIF."""
    return begin[:6] in (b"GIF87a", b"GIF89a")


def read_gif(file: IO[bytes]) -> Gif:
    """Find the frames of a file, at least one.

    Raises:
        ImageReadError: there is none.
    """
    file.seek(0)
    begin = _exactly(file, 13)
    width, height, flags = struct.unpack_from("<HHB", begin, 6)
    begin += _exactly(file, _palette_bytes(flags))
    extensions: list[bytes] = []
    frames = tuple(_frames(file, extensions))
    if not frames:
        raise ImageReadError("is damaged (it has no frame): copy or export it again")
    first = frames[0]
    # Some programs state no screen, or one smaller than what they draw at once.
    size_hw = (
        max(height, first.top + first.size_hw[0]),
        max(width, first.left + first.size_hw[1]),
    )
    notes = tuple(gif_leftovers(extensions))
    return Gif(size_hw=size_hw, begin=begin, frames=frames, notes=notes)


def gif_pictures(data: bytes, gif: Gif, image: Image.Image) -> Iterator[Picture]:
    """Yield the composed frames.

    Args:
        data: the file.
        gif: its structure.
        image: the file opened by Pillow, for its metadata.

    Raises:
        ImageReadError: a frame is damaged.
    """
    is_grey = all(_opened(data, gif, frame).mode == "L" for frame in gif.frames)
    base = loaded_picture(image)
    layers = (_layer(data, gif, frame) for frame in gif.frames)
    for frame, rgba in zip(gif.frames, composed_frames(layers, gif.size_hw), strict=True):
        yield replace(
            base,
            rgb_hwc=np.ascontiguousarray(rgba[..., :3]),
            alpha_hw=np.ascontiguousarray(rgba[..., 3]) if gif.has_alpha else None,
            is_grey=is_grey,
            source_size_hw=gif.size_hw,
            duration_ms=frame.duration_ms if len(gif.frames) > 1 else None,
        )


def _frames(file: IO[bytes], extensions: list[bytes]) -> Iterator[Frame]:
    """Yield frames, and add the names of application extensions to `extensions`."""
    flags = delay = clear = 0
    # What is cut off or unknown ends the animation, as it does in browsers; zeros do no harm.
    while (kind := file.read(1)) in (b"\x21", b"\x2c", b"\0"):
        if kind == b"\0":
            continue
        if kind[0] == _EXTENSION:
            try:
                label, blocks = _exactly(file, 1)[0], _blocks(file)
            except ImageReadError:
                return
            if label == _CONTROL and len(blocks) >= 4:
                flags, delay, clear = struct.unpack_from("<BHB", blocks)
            elif label == _APPLICATION:
                extensions.append(blocks[:11])
            continue
        left, top, width, height, own = struct.unpack("<4HB", _exactly(file, 9))
        start = file.tell()
        _exactly(file, _palette_bytes(own) + 1)
        _blocks(file)
        yield Frame(
            size_hw=(height, width),
            left=left,
            top=top,
            flags=own,
            clear_index=clear if flags & 1 else None,
            duration_ms=10.0 * delay,
            disposal=flags >> 2 & 7,
            start=start,
            stop=file.tell(),
        )
        flags = delay = clear = 0


def _blocks(file: IO[bytes]) -> bytes:
    """Read a list of sub-blocks to its end, and return the first."""
    size = _exactly(file, 1)[0]
    first = _exactly(file, size)
    while size:
        size = _exactly(file, 1)[0]
        _exactly(file, size)
    return first


def _exactly(file: IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ImageReadError("is damaged (it is cut off): copy or export it again")
    return content


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _covers(frame: Frame, size_hw: tuple[int, int]) -> bool:
    return (frame.left, frame.top) == (0, 0) and frame.size_hw == size_hw


def _opened(data: bytes, gif: Gif, frame: Frame) -> Image.Image:
    """Open a single frame."""
    height, width = frame.size_hw
    if not height or not width:
        raise ImageReadError("is damaged (a frame has no size): copy or export it again")
    screen = b"GIF89a" + struct.pack("<HH", width, height) + gif.begin[10:]
    control = b""
    if frame.clear_index is not None:
        control = b"\x21\xf9\x04" + struct.pack("<BHBB", 1, 0, frame.clear_index, 0)
    descriptor = struct.pack("<B4HB", _IMAGE, 0, 0, width, height, frame.flags)
    samples = data[frame.start : frame.stop]
    content = b"".join((screen, control, descriptor, samples, bytes([_END])))
    with quiet_pillow():
        return Image.open(io.BytesIO(content), formats=("GIF",))


def _layer(data: bytes, gif: Gif, frame: Frame) -> Layer:
    with _opened(data, gif, frame) as image:
        return Layer(
            rgba_hwc=np.asarray(image.convert("RGBA")),
            left=frame.left,
            top=frame.top,
            is_over=True,
            afterwards=_AFTERWARDS.get(frame.disposal, "keep"),
        )
