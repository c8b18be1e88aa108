"""Tiles of LR pictures that show a network's layers what they will see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dggn.data.folder import picture_paths, read_rgb
from runtime.errors import ConfigError

TILES = 24
TILE_PX = 64


def sample_tiles(folder: Path) -> Tensor:
    """Cut the centres of at most `TILES` pictures, evenly spaced in the order of their names.

    Args:
        folder: LR pictures, of at least `TILE_PX` along each side.

    Returns:
        (N, 3, `TILE_PX`, `TILE_PX`), float32, RGB in [0, 1].

    Raises:
        ConfigError: the folder is missing or empty, or a picture is too small.
        ImageReadError: a picture cannot be decoded.
    """
    paths = picture_paths(folder)
    chosen = np.linspace(0, len(paths) - 1, min(TILES, len(paths))).round().astype(int)
    return torch.stack([_centre(paths[number]) for number in chosen])


def _centre(path: Path) -> Tensor:
    picture = torch.from_numpy(read_rgb(path).copy()).permute(2, 0, 1)
    height, width = picture.shape[1:]
    if min(height, width) < TILE_PX:
        raise ConfigError(
            f"{path} has {width}x{height} px: rounding to 4 bits needs pictures of at least "
            f"{TILE_PX}x{TILE_PX}"
        )
    top, left = (height - TILE_PX) // 2, (width - TILE_PX) // 2
    return picture[:, top : top + TILE_PX, left : left + TILE_PX].float() / 255
