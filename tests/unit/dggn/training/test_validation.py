from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from PIL import Image

from dggn.data.pairs import Pair
from dggn.metrics.fidelity import peak_signal_noise_ratio, structural_similarity
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from dggn.training.validation import SAMPLE_PX, check_pictures, validate
from runtime.errors import ConfigError, TargetError


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
    assert picture.shape == (SAMPLE_PX, 3 * SAMPLE_PX, 3)
    height, width = pair.hr_hwc.shape[:2]
    assert np.array_equal(picture[:height, SAMPLE_PX : SAMPLE_PX + width], sr)
    assert np.array_equal(picture[:height, 2 * SAMPLE_PX : 2 * SAMPLE_PX + width], pair.hr_hwc)


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


def test_small_pictures_are_refused() -> None:
    check_pictures([_pair(20, 20)])
    with pytest.raises(ConfigError, match=r"small\.png is 36x16: too small for SSIM"):
        check_pictures([_pair(16, 36)])
