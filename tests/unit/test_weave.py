from __future__ import annotations

import numpy as np
import pytest

from tests.campaigns.weave import PLACES, excess, rise_db


@pytest.mark.parametrize(
    ("period", "rows_px", "columns_px", "least"),
    # A wave of 8 by 4 px is not one of 4 by 8 px, which is counted with it.
    [("8 px", 8, 8, 20), ("8 by 4 px", 8, 4, 10), ("8 by 4 px", 4, 8, 10), ("4 px", 4, 4, 20)],
)
def test_a_pattern_stands_out_at_its_period(
    period: str, rows_px: int, columns_px: int, least: float
) -> None:
    noise = np.random.default_rng(0).normal(128, 4, (128, 192, 1))
    rows, columns = np.ogrid[:128, :192]
    wave = 3 * np.cos(2 * np.pi * rows / rows_px) * np.cos(2 * np.pi * columns / columns_px)
    woven = np.clip(noise + wave[..., None], 0, 255).astype(np.uint8).repeat(3, axis=2)
    assert excess(woven, period).shape == (6,)
    assert np.median(excess(woven, period)) > least
    for other in PLACES.keys() - {period}:
        assert np.median(excess(woven, other)) < 3


def test_flat_windows_are_left_out() -> None:
    assert not len(excess(np.full((64, 128, 3), 7, np.uint8), "8 px"))


def test_a_mesh_without_a_fixed_distance_makes_power_rise() -> None:
    random = np.random.default_rng(0)
    frequencies = np.fft.fftfreq(256)
    radius = np.hypot(frequencies[:, None], frequencies)
    radius[0, 0] = 1

    def with_power(amplitude: np.ndarray) -> np.ndarray:
        noise = np.fft.fft2(random.normal(0, 1, (256, 256)))
        result: np.ndarray = np.fft.ifft2(noise * amplitude).real
        return result

    def picture(luma: np.ndarray) -> np.ndarray:
        grey: np.ndarray = np.clip(128 + luma, 0, 255).astype(np.uint8)
        return grey[..., None].repeat(3, axis=2)

    texture = with_power(1 / radius)
    mesh = with_power(20.0 * ((radius > 1 / 3.5) & (radius < 1 / 3.25)))
    assert rise_db([picture(texture)]) < 0
    assert rise_db([picture(texture + mesh)]) > 3
    assert all(np.median(excess(picture(texture + mesh), place)) < 3 for place in PLACES)
