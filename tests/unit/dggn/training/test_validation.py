from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from PIL import Image

from dggn.data.pairs import Pair
from dggn.metrics.fidelity import peak_signal_noise_ratio, structural_similarity
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from dggn.training import validation as validation_module
from dggn.training.validation import (
    HEADER_PX,
    SAMPLE_PX,
    check_pictures,
    degraded_as_trained,
    validate,
)
from runtime.errors import ConfigError, ModelError, TargetError


def _pair(height: int, width: int) -> Pair:
    return Pair(
        name="small.png",
        lr_hwc=np.zeros((height // 4, width // 4, 3), np.uint8),
        hr_hwc=np.zeros((height, width, 3), np.uint8),
    )


def test_means_and_sheet(tmp_path: Path, tiny_config: GeneratorConfig, pairs: list[Pair]) -> None:
    generator = Generator(tiny_config).eval()
    (pair,) = pairs
    two = [pair, replace(pair, hr_hwc=255 - pair.hr_hwc)]
    sheet = tmp_path / "samples" / "sheet.png"
    found = validate(generator, two, sheet, samples=1)
    sr = super_resolve(generator, pair.lr_hwc)
    for name, measure in (("psnr_db", peak_signal_noise_ratio), ("ssim", structural_similarity)):
        assert found[name] == pytest.approx(np.mean([measure(sr, one.hr_hwc) for one in two]))
    with Image.open(sheet) as image:
        picture = np.array(image)
    assert picture.shape == (HEADER_PX + SAMPLE_PX, 3 * SAMPLE_PX, 3)
    header, picture = picture[:HEADER_PX], picture[HEADER_PX:]
    # Each column has a name of its own, with a margin around it.
    names = [header[:, start : start + SAMPLE_PX] for start in range(0, 3 * SAMPLE_PX, SAMPLE_PX)]
    assert len({name.tobytes() for name in names}) == 3
    assert all(
        name.min() < 100 and name[:, :9].min() == name[:, -9:].min() == 255 for name in names
    )
    height, width = pair.hr_hwc.shape[:2]
    assert np.array_equal(picture[:height, SAMPLE_PX : SAMPLE_PX + width], sr)
    assert np.array_equal(picture[:height, 2 * SAMPLE_PX : 2 * SAMPLE_PX + width], pair.hr_hwc)


def test_convolutions_are_not_tried_out_for_every_size(
    tmp_path: Path,
    tiny_config: GeneratorConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searching: list[bool] = []

    def noted(*arguments: object) -> None:
        searching.append(torch.backends.cudnn.benchmark)
        raise ModelError("no picture")

    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(validation_module, "super_resolve", noted)
    with pytest.raises(ModelError, match="no picture"):
        validate(Generator(tiny_config).eval(), pairs, tmp_path / "sheet.png", samples=0)
    assert searching == [False]
    assert torch.backends.cudnn.benchmark


def test_no_samples_no_sheet(
    tmp_path: Path, tiny_config: GeneratorConfig, pairs: list[Pair]
) -> None:
    validate(Generator(tiny_config), pairs, tmp_path / "sheet.png", samples=0)
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_cannot_be_written(
    tmp_path: Path, tiny_config: GeneratorConfig, pairs: list[Pair]
) -> None:
    (tmp_path / "samples").write_text("in the way")
    with pytest.raises(TargetError, match="cannot be written"):
        validate(Generator(tiny_config), pairs, tmp_path / "samples" / "sheet.png", samples=1)


def test_photo_runs_are_validated_on_degraded_pictures(pairs: list[Pair]) -> None:
    two = pairs * 2
    assert degraded_as_trained(two, "bicubic") == two
    first, second = degraded_as_trained(two, "photo")
    for one, pair in zip((first, second), two, strict=True):
        assert one.hr_hwc is pair.hr_hwc
        assert one.lr_hwc.shape == pair.lr_hwc.shape
        assert not np.array_equal(one.lr_hwc, pair.lr_hwc)
    assert not np.array_equal(first.lr_hwc, second.lr_hwc)
    again = degraded_as_trained(two, "photo")
    assert [one.lr_hwc.tobytes() for one in again] == [
        one.lr_hwc.tobytes() for one in (first, second)
    ]


def test_small_pictures_are_refused() -> None:
    check_pictures([_pair(20, 20)])
    with pytest.raises(ConfigError, match=r"small\.png is 36x16: too small for SSIM"):
        check_pictures([_pair(16, 36)])
