"""Reads pictures from a folder as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ConfigError, ImageReadError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})


def picture_paths(folder: Path) -> list[Path]:
    """List all pictures below `folder`, sorted; hidden files are left out.

    Raises:
        ConfigError: it is not a folder, or holds no picture.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: name one that holds pictures")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not paths:
        raise ConfigError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return paths


def by_stem(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """Index pictures by their path below `folder` without the suffix.

    Raises:
        ConfigError: two of them differ in the suffix only.
    """
    stems: dict[str, Path] = {}
    for path in paths:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in stems:
            raise ConfigError(f"{stems[stem]} and {path} have one name: remove one of them")
        stems[stem] = path
    return stems


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB; grey is repeated, alpha dropped.

    Raises:
        ImageReadError: the file cannot be decoded, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            # Pillow would clip these to white instead of scaling them.
            if image.mode.startswith(("I", "F")):
                raise ImageReadError(f"{path} has more than 8 bits a channel: convert it to 8")
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageReadError(f"{path}: not a readable picture ({error})") from error
