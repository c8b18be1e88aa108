from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.pairs import read_pair
from dggn.metrics.compare import (
    Cell,
    Crop,
    Row,
    comparison_rows,
    draw_comparison,
    parse_crop,
    save_png,
)
from dggn.metrics.systems import enlarge_bicubic
from runtime.errors import ConfigError


def row(count: int, photo: NDArray[np.uint8]) -> Row:
    crop = Crop(x=10, y=20, width=32, height=24)
    cells = [
        Cell(name=f"system {number}", scores="30.00 dB / 0.9000", crop_hwc=crop.of(photo))
        for number in range(count)
    ]
    return Row(picture_hwc=photo, crop=crop, cells=tuple(cells))


def test_rows_have_hr_bicubic_and_the_models(photo_folder: Path, photo: NDArray[np.uint8]) -> None:
    (one, two) = comparison_rows(
        ["bicubic"], [photo_folder / "one.png", photo_folder / "two.png"], ["8,4,20,12", "0,0,8,8"]
    )
    assert [cell.name for cell in one.cells] == ["HR", "bicubic"]
    assert np.array_equal(one.cells[0].crop_hwc, photo[4:16, 8:28])
    enlarged = enlarge_bicubic(read_pair(photo_folder / "one.png").lr_hwc)
    assert np.array_equal(one.cells[1].crop_hwc, enlarged[4:16, 8:28])
    assert one.cells[1].scores.endswith(tuple("0123456789"))
    assert two.crop.box == (0, 0, 8, 8)


def test_a_benchmarks_own_reductions_are_used(
    photo_folder: Path, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    photo_folder.rename(tmp_path / "HR")
    (tmp_path / "LR_x4").mkdir()
    for name in ("one", "two"):
        Image.new("RGB", (28, 24), (9, 9, 9)).save(tmp_path / "LR_x4" / f"{name}.png")
    (row,) = comparison_rows(["bicubic"], [tmp_path / "HR" / "one.png"], [])
    assert np.unique(row.cells[1].crop_hwc).tolist() == [9]
    assert row.crop == Crop(x=24, y=16, width=64, height=64)


def test_crops_that_make_no_sense(photo_folder: Path) -> None:
    with pytest.raises(ConfigError, match="2 crops for 1 pictures"):
        comparison_rows(["bicubic"], [photo_folder / "one.png"], ["0,0,8,8", "0,0,8,8"])
    for text in ("1,2,3", "a,b,c,d", "-1,0,8,8", "0 0 8 8"):
        with pytest.raises(ConfigError, match="expected X,Y,W,H"):
            parse_crop(text, 96, 112)
    for text in ("100,0,13,8", "0,90,8,8", "0,0,0,8"):
        with pytest.raises(ConfigError, match="does not lie inside the picture, 112x96"):
            parse_crop(text, 96, 112)
    assert parse_crop("104,88,8,8", 96, 112) == Crop(x=104, y=88, width=8, height=8)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_figure_shows_every_pixel_of_every_crop(
    count: int, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    figure = draw_comparison([row(count, photo)])
    pixels = np.asarray(figure)
    wanted = row(count, photo).cells[0].crop_hwc.repeat(6, 0).repeat(6, 1)
    found = 0
    for y in range(pixels.shape[0] - wanted.shape[0] + 1):
        for x in np.flatnonzero((pixels[y] == wanted[0, 0]).all(axis=1)):
            window = pixels[y : y + wanted.shape[0], x : x + wanted.shape[1]]
            found += window.shape == wanted.shape and np.array_equal(window, wanted)
    assert found == count
    # The red outline in the whole picture.
    assert (pixels == (255, 0, 0)).all(axis=2).sum() > 50
    save_png(tmp_path / "figure.png", figure)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == figure.size


def test_rows_lie_below_each_other(photo: NDArray[np.uint8]) -> None:
    one = draw_comparison([row(2, photo)])
    both = draw_comparison([row(2, photo), row(4, photo)])
    assert both.height == one.height * 2
    assert both.width > one.width


def test_only_png_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not end in \.png"):
        save_png(tmp_path / "figure.jpg", Image.new("RGB", (8, 8)))
