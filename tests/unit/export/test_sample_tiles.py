from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the export extra")

from export.sample_tiles import TILE_PX, TILES, sample_tiles
from runtime.errors import ConfigError


def write(path: Path, side_px: int, level: int) -> None:
    Image.new("RGB", (side_px + 7, side_px), (level, 0, 255)).save(path)


def test_tiles_are_spread_over_the_folder(tmp_path: Path) -> None:
    for number in range(2 * TILES - 1):
        write(tmp_path / f"{number:03}.png", TILE_PX, number)
    tiles = sample_tiles(tmp_path)
    assert tiles.shape == (TILES, 3, TILE_PX, TILE_PX)
    assert (tiles[:, 0] * 255).unique().tolist() == list(range(0, 2 * TILES, 2))
    assert (tiles[:, 2] == 1).all()


def test_few_pictures_are_all_taken(tmp_path: Path) -> None:
    write(tmp_path / "one.png", TILE_PX, 1)
    assert len(sample_tiles(tmp_path)) == 1


def test_small_pictures_are_named(tmp_path: Path) -> None:
    write(tmp_path / "small.png", TILE_PX - 1, 1)
    with pytest.raises(ConfigError, match=r"small\.png has 70x63 px.* at least 64x64"):
        sample_tiles(tmp_path)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)):
        sample_tiles(tmp_path)
