from __future__ import annotations

from dataclasses import replace

import pytest

from dggn.training.config import OptimizerConfig, TrainConfig
from dggn.training.schedule import completed_share, learning_rate


def test_cosine_after_a_warm_up() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    rises = [learning_rate(config, step, 0.0, 100) for step in range(6)]
    assert rises == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    falls = [learning_rate(config, 100, progress, 100) for progress in (0.0, 0.5, 1.0, 1.5)]
    assert falls == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=1e-12)
    assert learning_rate(replace(config, warmup_steps=0), 0, 0.0, 100) == 1.0


def test_halvings_of_the_paper() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=0, schedule="halving")
    steps = 400_000
    found = {
        step: learning_rate(config, step, step / steps, steps)
        for step in (0, 49_999, 50_000, 99_999, 100_000, 200_000, 300_000, 399_999)
    }
    assert list(found.values()) == [1, 1, 0.5, 0.5, 0.25, 0.125, 0.0625, 0.0625]


def test_time_moves_the_halvings() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=0, schedule="halving", halve_at=(50,))
    assert learning_rate(config, 3, 0.49, 100) == 1.0
    assert learning_rate(config, 3, 0.51, 100) == 0.5


def test_share_done_is_by_steps_or_by_time() -> None:
    config = TrainConfig(preset="dggn-lite", steps=100)
    assert completed_share(config, 25, 1e9) == 0.25
    timed = replace(config, max_minutes=2.0)
    assert completed_share(timed, 25, 60.0) == 0.5
    assert completed_share(timed, 75, 60.0) == 0.75
