from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from calibration.prepare.tiles import CONTENTS, gradient_magnitude, manifest, sample_tiles
from dggn.data.pairs import Pair, read_pairs
from runtime.errors import ConfigError


def test_gradient_magnitude_is_equation_5() -> None:
    image = np.zeros((3, 4, 3), np.uint8)
    image[:, 2:] = 30
    image[2] += 40
    magnitude = gradient_magnitude(image)
    assert magnitude.shape == (3, 4, 3)
    np.testing.assert_array_equal(magnitude[0, :, 0], [0, 30, 30, 0])
    np.testing.assert_array_equal(magnitude[1, :, 1], [40, 50, 50, 40])


def test_four_contents_in_equal_parts(photographs: Path) -> None:
    tiles = sample_tiles(read_pairs([photographs]), count=16, tile_px=8)
    assert len(tiles) == 16
    assert Counter(tile.content for tile in tiles) == dict.fromkeys(CONTENTS, 4)
    assert all(tile.image_hwc.shape == (8, 8, 3) for tile in tiles)
    of = {
        content: [tile.image_hwc for tile in tiles if tile.content == content]
        for content in CONTENTS
    }
    gradient = {
        content: np.mean([gradient_magnitude(image) for image in images])
        for content, images in of.items()
    }
    assert gradient["flat"] < gradient["texture"]
    assert np.mean(of["dark"]) < min(np.mean(of[kind]) for kind in CONTENTS if kind != "dark")


def test_the_same_pictures_give_the_same_tiles(photographs: Path) -> None:
    pairs = read_pairs([photographs])
    first, second = (manifest(sample_tiles(pairs, count=9, tile_px=16)) for _ in range(2))
    assert first == second
    assert len(first["sha256"]) == 64
    assert set(first["tiles"][0]) == {"picture", "top_px", "left_px", "content", "sha256"}


def test_the_hash_covers_the_pixels(photographs: Path) -> None:
    pairs = read_pairs([photographs])
    before = manifest(sample_tiles(pairs, count=4, tile_px=16))
    for pair in pairs:
        pair.lr_hwc[:] ^= 1
    after = manifest(sample_tiles(pairs, count=4, tile_px=16))
    assert before["sha256"] != after["sha256"]


def test_few_tiles_are_all_taken(photographs: Path) -> None:
    pairs = read_pairs([photographs])[:1]
    tiles = sample_tiles(pairs, count=64, tile_px=24)
    assert len(tiles) == 4
    assert len({(tile.top_px, tile.left_px) for tile in tiles}) == 4


def test_too_small_a_picture_is_named() -> None:
    pair = Pair(
        name="small.png",
        lr_hwc=np.zeros((40, 60, 3), np.uint8),
        hr_hwc=np.zeros((160, 240, 3), np.uint8),
    )
    with pytest.raises(ConfigError, match=r"small.png is 240x160 px, smaller than a tile.*192x192"):
        sample_tiles([pair], count=4, tile_px=48)
