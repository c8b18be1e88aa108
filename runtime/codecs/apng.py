"""Reads animated PNG: decodes each frame as a PNG of its own, and composes them as browsers do."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from runtime.codecs.exif import read_orientation
from runtime.codecs.limits import quiet_pillow
from runtime.codecs.pil import loaded_picture, upright
from runtime.codecs.png import has_all_samples
from runtime.codecs.png_chunks import SIGNATURE, Chunks, chunk_bytes
from runtime.codecs.png_header import FrameControl, PngHeader
from runtime.errors import ImageReadError
from runtime.image.layers import Afterwards, Layer, composed_frames
from runtime.image.picture import Picture

_AFTERWARDS: dict[int, Afterwards] = {1: "clear", 2: "restore"}
STILL_NOTE = "the still picture for viewers without animation was dropped"


def apng_pictures(data: bytes, chunks: Chunks, header: PngHeader) -> Iterator[Picture]:
    """Yield the frames of an animation, with 8 bits.

    Args:
        data: the file that `chunks` tells of.
        chunks: its sound blocks.
        header: their contents.

    Raises:
        ImageReadError: a frame is damaged.
    """
    image = header.image()
    base = loaded_picture(image, colours=header.colours)
    orientation = read_orientation(image)
    notes: list[str] = []
    layers = _layers(data, chunks, header, notes)
    for control, rgba in zip(header.controls, composed_frames(layers, header.size_hw), strict=True):
        seen = upright(rgba, orientation)
        yield replace(
            base,
            rgb_hwc=np.ascontiguousarray(seen[..., :3]),
            alpha_hw=np.ascontiguousarray(seen[..., 3]) if header.has_alpha else None,
            source_size_hw=seen.shape[:2],
            duration_ms=control.duration_ms,
            notes=[*base.notes, *notes],
        )


def _layers(data: bytes, chunks: Chunks, header: PngHeader, notes: list[str]) -> Iterator[Layer]:
    frames = zip(header.controls, _samples(data, chunks), strict=False)
    for number, (control, samples) in enumerate(frames):
        picture = _picture(_file(chunks, control, samples))
        notes += [note for note in picture.notes if note not in notes]
        alpha = picture.alpha_hw
        if alpha is None:
            alpha = np.full(picture.size_hw, 255, np.uint8)
        # Before the first frame, there is nothing to come back to.
        disposal = 1 if number == 0 and control.disposal == 2 else control.disposal
        yield Layer(
            rgba_hwc=np.dstack((picture.rgb_hwc, alpha)),
            left=control.left,
            top=control.top,
            is_over=control.is_over,
            afterwards=_AFTERWARDS.get(disposal, "keep"),
        )


def _samples(data: bytes, chunks: Chunks) -> Iterator[bytes]:
    """Yield the compressed samples of each frame."""
    parts: list[bytes] | None = None
    for chunk in chunks.kept:
        if chunk.name == b"fcTL":
            if parts is not None:
                yield b"".join(parts)
            parts = []
        elif parts is not None and chunk.name in (b"IDAT", b"fdAT"):
            numbered = 4 if chunk.name == b"fdAT" else 0
            parts.append(data[chunk.start + 8 + numbered : chunk.stop - 4])
    if parts is not None:
        yield b"".join(parts)


def _file(chunks: Chunks, control: FrameControl, samples: bytes) -> bytes:
    height, width = control.size_hw
    header = struct.pack(">II", width, height) + chunks.kept[0].content[8:13]
    parts = [SIGNATURE, chunk_bytes(b"IHDR", header)]
    parts += [chunk_bytes(name, c) for name in (b"PLTE", b"tRNS") for c in chunks.of(name)[:1]]
    return b"".join((*parts, chunk_bytes(b"IDAT", samples), chunk_bytes(b"IEND", b"")))


def _picture(data: bytes) -> Picture:
    if not has_all_samples(data):
        raise ImageReadError("is damaged (a frame's samples end early): export it again")
    with quiet_pillow():
        image = Image.open(io.BytesIO(data), formats=("PNG",))
    with image:
        return loaded_picture(image)
