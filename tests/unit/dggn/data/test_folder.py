from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dggn.data.folder import picture_paths, read_rgb
from runtime.errors import ConfigError, ImageReadError


def test_pictures_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.webp", "notes.txt", ".hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in picture_paths(tmp_path)]
    assert names == ["a.webp", "b/1.png", "b/2.JPG"]


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        picture_paths(tmp_path / "none")
    with pytest.raises(ConfigError, match="holds no picture"):
        picture_paths(tmp_path)


def test_grey_is_repeated_and_alpha_dropped(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 9).save(tmp_path / "grey.png")
    Image.new("RGBA", (3, 2), (1, 2, 3, 4)).save(tmp_path / "alpha.png")
    grey, alpha = read_rgb(tmp_path / "grey.png"), read_rgb(tmp_path / "alpha.png")
    assert grey.shape == alpha.shape == (2, 3, 3)
    assert grey[0, 0].tolist() == [9, 9, 9]
    assert alpha[0, 0].tolist() == [1, 2, 3]
    assert grey.flags.writeable


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.png"
    Image.new("RGB", (64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageReadError, match=r"damaged\.png: not a readable picture"):
        read_rgb(path)


def test_more_than_8_bits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(path)
    with pytest.raises(ImageReadError, match="more than 8 bits"):
        read_rgb(path)
