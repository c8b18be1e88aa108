"""Tiles leave no seams: at most one grey level between tiled and whole-picture output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.model.info import WantedPrecision
from runtime.upscaler import Upscaler

ROOT = Path(__file__).parents[4]
BENCHMARK = ROOT.parent / "shared" / "data" / "benchmark"


def histogram(tiled: NDArray[np.uint8], whole: NDArray[np.uint8]) -> dict[int, int]:
    levels, counts = np.unique(np.abs(tiled.astype(int) - whole), return_counts=True)
    return dict(zip(levels.tolist(), counts.tolist(), strict=True))


def found_in(
    image: NDArray[np.uint8], tile_size: int, precision: WantedPrecision | None
) -> dict[int, int]:
    """Count the samples that differ between tiled and whole output, by grey levels."""
    with Upscaler(tile_size=1 << 12, precision=precision) as upscaler:
        whole = upscaler(image)
    with Upscaler(tile_size=tile_size, precision=precision) as upscaler:
        return histogram(upscaler(image), whole)


def assert_no_seams(
    image: NDArray[np.uint8], tile_size: int, precision: WantedPrecision | None = None
) -> None:
    """By default in the precision used here: bfloat16 if the CPU and OpenVINO support it."""
    found = found_in(image, tile_size, precision)
    assert max(found) <= 1, f"tile {tile_size}: differences in grey levels {found}"


def half_black_half_noise(side_px: int) -> NDArray[np.uint8]:
    image = np.zeros((side_px, side_px, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (side_px, side_px // 2, 3))
    image[:, side_px // 2 :] = noise
    return image


@pytest.mark.parametrize("tile_size", [64, 96, 128])
def test_half_black_and_half_noise(tile_size: int) -> None:
    assert_no_seams(half_black_half_noise(tile_size + 40), tile_size, "float32")


@pytest.mark.slow
def test_half_black_and_half_noise_in_large_tiles() -> None:
    assert_no_seams(half_black_half_noise(320), 256, "float32")


@pytest.mark.parametrize("tile_size", [64, 96, 128])
def test_half_black_and_half_noise_in_what_is_taken_here(tile_size: int) -> None:
    """In bfloat16, noise rounds differently in another tile, by two levels in a few samples."""
    found = found_in(half_black_half_noise(tile_size + 40), tile_size, None)
    assert max(found) <= 2
    assert found.get(2, 0) <= 1e-5 * sum(found.values())


@pytest.mark.parametrize("tile_size", [64, 96, 128])
def test_a_photograph(tile_size: int) -> None:
    with Image.open(ROOT / "examples" / "coffee.jpg") as image:
        assert_no_seams(np.asarray(image.convert("RGB")), tile_size)


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.is_dir(), reason="Set5 and Set14 are not on this machine")
def test_set5() -> None:
    for path in sorted(BENCHMARK.glob("Set5/LR_x4/*.png")):
        with Image.open(path) as image:
            assert_no_seams(np.asarray(image.convert("RGB")), 64)


def test_without_overlap_seams_show() -> None:
    """Show that the tests above can fail: without overlap, seams are visible."""
    image = half_black_half_noise(136)
    with Upscaler(tile_size=1 << 12) as upscaler:
        whole = upscaler(image)
    with Upscaler(tile_size=64, overlap=0) as upscaler:
        assert max(histogram(upscaler(image), whole)) > 5
