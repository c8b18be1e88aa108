from __future__ import annotations

import numpy as np
import pytest

from tests.campaigns.weave import excess


@pytest.mark.parametrize(("period_px", "other"), [(8, 4), (4, 8)])
def test_a_pattern_stands_out_at_its_period(period_px: int, other: int) -> None:
    noise = np.random.default_rng(0).normal(128, 4, (128, 192, 1))
    rows, columns = np.ogrid[:128, :192]
    wave = 3 * np.cos(2 * np.pi * rows / period_px) * np.cos(2 * np.pi * columns / period_px)
    woven = np.clip(noise + wave[..., None], 0, 255).astype(np.uint8).repeat(3, axis=2)
    assert excess(woven, period_px).shape == (6,)
    assert np.median(excess(woven, period_px)) > 20
    assert np.median(excess(woven, other)) < 3


def test_flat_windows_are_left_out() -> None:
    assert not len(excess(np.full((64, 128, 3), 7, np.uint8), 8))
