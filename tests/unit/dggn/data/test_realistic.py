from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.data.history import UNREDUCED, History, Noise, apply_history
from dggn.data.realistic import (
    GRAPHICS,
    PHOTOGRAPHS,
    Realism,
    degrade_realistic,
    draw_history,
)
from dggn.settings import from_mapping, to_mapping
from runtime.errors import ConfigError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_depends_on_the_generator_alone(photo: NDArray[np.uint8]) -> None:
    kept = photo.copy()
    first = degrade_realistic(photo, rng(1))
    assert first.shape == (24, 28, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, degrade_realistic(photo, rng(1)))
    assert not np.array_equal(first, degrade_realistic(photo, rng(2)))
    assert np.array_equal(photo, kept)


def test_a_history_says_everything(photo: NDArray[np.uint8]) -> None:
    for seed in range(20):
        history = draw_history(rng(seed))
        assert from_mapping(History, to_mapping(history), where="a history") == history
        once = apply_history(photo, history)
        assert np.array_equal(once, apply_history(photo, history))
        assert np.array_equal(once, degrade_realistic(photo, rng(seed)))


def test_all_that_is_promised_is_drawn() -> None:
    random = rng()
    histories = [draw_history(random) for _ in range(4000)]
    filters = Counter(history.filter for history in histories)
    for name, share in PHOTOGRAPHS.filters:
        assert filters[name] / len(histories) == pytest.approx(share, abs=0.03)
    saves = Counter(len(history.saves) for history in histories)
    assert [saves[n] / len(histories) for n in (0, 1, 2)] == pytest.approx(
        [0.15, 0.55, 0.3], abs=0.03
    )
    jpegs = [save for history in histories for save in history.saves]
    assert {save.subsampled for save in jpegs} == {True, False}
    qualities = [save.quality for save in jpegs]
    assert 40 <= min(qualities) < 45
    assert 93 < max(qualities) <= 95
    assert 70 < np.median(qualities) < 85
    assert {history.saves[-1].shift_yx for history in histories if history.saves} == {(0, 0)}
    assert {save.shift_yx[0] for save in jpegs} == set(range(8))
    for noises in (
        [history.noise_before for history in histories],
        [history.noise_after for history in histories],
    ):
        assert 6 < max(noise.luma for noise in noises) <= 8
        assert 3 < max(noise.chroma for noise in noises) <= 4
        assert {noise.shot for noise in noises} == {True, False}
        assert np.mean([noise.luma > 4 for noise in noises]) < 0.2, "most are mild"
    assert {bool(history.sharpen_percent) for history in histories} == {True, False}
    blurs = [history.blur_px for history in histories if history.blur_px]
    assert 0.3 <= min(blurs) < max(blurs) <= 2.5


def test_graphics_have_no_sensor_and_are_mostly_lossless() -> None:
    random = rng()
    histories = [draw_history(random, GRAPHICS) for _ in range(500)]
    assert {history.noise_before for history in histories} == {Noise()}
    assert {history.noise_after for history in histories} == {Noise()}
    assert np.mean([not history.saves for history in histories]) > 0.5


def test_a_picture_can_keep_its_size(photo: NDArray[np.uint8]) -> None:
    for seed in range(30):
        history = draw_history(rng(seed), reduced=False)
        assert history.filter == UNREDUCED
        assert history.saves
        assert apply_history(photo, history).shape == photo.shape


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="'area': choose lanczos"):
        Realism(filters=(("area", 1.0),))
    with pytest.raises(ConfigError, match="saves are .*: expected a sum of 1"):
        Realism(saves=(0.5, 0.1, 0.1))
