from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.metrics.evaluate import Fidelity, evaluate, mean, path_pairs
from runtime.errors import ConfigError, ModelError


def _bicubic(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return bicubic_resize(image_hwc, Fraction(4))


@pytest.fixture
def lr_folder(tmp_path: Path, photo: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "lr"
    folder.mkdir()
    reduced = bicubic_resize(photo, Fraction(1, 4))
    Image.fromarray(reduced).save(folder / "one.bmp")
    Image.fromarray(reduced[::-1, ::-1].copy()).save(folder / "two.png")
    return folder


def test_a_model_that_is_bicubic_equals_the_baseline(photo_folder: Path) -> None:
    results = list(evaluate(_bicubic, path_pairs(photo_folder, None)))
    assert [result.name for result in results] == ["one.png", "two.png"]
    assert all(result.model == result.bicubic for result in results)
    assert all(5 < result.model.psnr_db < 60 for result in results)


def test_a_perfect_model(photo_folder: Path, photo: NDArray[np.uint8]) -> None:
    (result, _) = evaluate(lambda _: photo, path_pairs(photo_folder, None))
    assert result.model.psnr_db == math.inf
    assert result.model.ssim == pytest.approx(1)


def test_given_reductions_are_used(photo_folder: Path, lr_folder: Path) -> None:
    made = list(evaluate(_bicubic, path_pairs(photo_folder, None)))
    assert list(evaluate(_bicubic, path_pairs(photo_folder, lr_folder))) == made
    Image.new("RGB", (28, 24)).save(lr_folder / "one.bmp")
    (one, _) = evaluate(_bicubic, path_pairs(photo_folder, lr_folder))
    assert one.model.psnr_db < made[0].model.psnr_db


def test_missing_reductions_are_named(photo_folder: Path, lr_folder: Path) -> None:
    (lr_folder / "one.bmp").unlink()
    with pytest.raises(ConfigError, match=r"lacks the reductions of 1 pictures .*\(one\)"):
        path_pairs(photo_folder, lr_folder)


def test_ambiguous_names(photo_folder: Path, lr_folder: Path) -> None:
    Image.new("RGB", (28, 24)).save(lr_folder / "one.png")
    with pytest.raises(ConfigError, match="have one name"):
        path_pairs(photo_folder, lr_folder)


def test_models_of_another_scale(photo_folder: Path) -> None:
    with pytest.raises(ModelError, match="made 56x48 px of one.png, expected 112x96"):
        list(evaluate(lambda lr: lr.repeat(2, 0).repeat(2, 1), path_pairs(photo_folder, None)))


def test_pictures_too_small_to_measure(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "small.png")
    with pytest.raises(ConfigError, match=r"small\.png is too small to measure"):
        list(evaluate(_bicubic, path_pairs(tmp_path, None)))


def test_mean() -> None:
    values = [Fidelity(psnr_db=30, ssim=0.8), Fidelity(psnr_db=34, ssim=0.9)]
    assert mean(values).psnr_db == pytest.approx(32)
    assert mean(values).ssim == pytest.approx(0.85)
