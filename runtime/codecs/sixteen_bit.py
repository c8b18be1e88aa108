"""Colours of 16 bits a sample, of which Pillow keeps the upper 8.

Pillow can be told in which order a file's bytes lie. Told the truth, it gives the upper byte of
every sample; told the opposite, the lower one. Two readings make 16 bits.
"""

from __future__ import annotations

import io
import sys
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SWAPPED = {"B": "L", "L": "B"}
_NATIVE = "L" if sys.byteorder == "little" else "B"
# What is read for the file's layout: without what pads a pixel, and without Pillow's own
# division by alpha, which it does in 8 bits.
_READ_AS = {"RGB": "RGB", "RGBX": "RGBX", "RGBA": "RGBA", "RGBa": "RGBA"}


def deep_samples(data: bytes, format_name: str, frame: int, raw: str) -> NDArray[np.uint16] | None:
    """Read the 16 bits of each sample.

    Args:
        data: the file.
        format_name: Pillow's name of its format.
        frame: which of its pages.
        raw: how its samples lie, in Pillow's words; see `colour.raw_mode`.

    Returns:
        (H, W, C), C being 2 for grey and alpha, 3 for RGB or 4 for RGBA, upright for TIFF;
        None where the samples are not colours of 16 bits.
    """
    kind, found, order = raw.partition(";16")
    if kind == "LA" and order == "B":
        # Four bytes a pixel, which is all that Pillow needs to know.
        four = _read(data, format_name, frame, "RGBA").astype(np.uint16)
        return cast("NDArray[np.uint16]", four[..., ::2] * 256 + four[..., 1::2])
    if not found or kind not in _READ_AS or order not in ("B", "L", "N"):
        return None
    order = _NATIVE if order == "N" else order
    layout = _READ_AS[kind]
    upper = _read(data, format_name, frame, f"{layout};16{order}").astype(np.uint16)
    lower = _read(data, format_name, frame, f"{layout};16{_SWAPPED[order]}")
    samples = cast("NDArray[np.uint16]", upper * 256 + lower)
    return _divided_by_alpha(samples) if kind == "RGBa" else samples


def _read(data: bytes, format_name: str, frame: int, raw: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=(format_name,)) as image:
        if frame:
            image.seek(frame)
        tiles = []
        for tile in image.tile:
            if not isinstance(tile.args, tuple):
                tiles.append(tile._replace(args=raw))
                continue
            plane = tile.args[0]
            # Each channel may lie in a plane of its own, named by its letter.
            here = plane + raw[raw.index(";") :] if plane in tuple("RGBA") else raw
            tiles.append(tile._replace(args=(here, *tile.args[1:])))
        image.tile = tiles
        image.load()
        return np.array(image)


def _divided_by_alpha(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    alpha = samples[..., 3:].astype(np.float64)
    colour = np.divide(
        samples[..., :3] * 65535.0,
        alpha,
        where=alpha > 0,
        out=np.zeros_like(alpha).repeat(3, axis=2),
    )
    rounded = np.rint(colour).clip(0, 65535).astype(np.uint16)
    return np.concatenate((rounded, samples[..., 3:]), axis=2)
