"""A training run that takes a second."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.pairs import Pair
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.training.config import DataConfig, OptimizerConfig, TrainConfig


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tiny_config: GeneratorConfig) -> TrainConfig:
    """Twelve float32 steps of a tiny generator."""
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    return TrainConfig(
        preset="tiny",
        steps=12,
        precision="fp32",
        validate_every=5,
        save_every=4,
        data=DataConfig(patch_lr_px=8, batch_size=2),
        optimizer=OptimizerConfig(learning_rate=5e-3, warmup_steps=2),
    )


@pytest.fixture
def pairs(photo: NDArray[np.uint8]) -> list[Pair]:
    """One picture."""
    return [Pair(name="photo", lr_hwc=bicubic_resize(photo, Fraction(1, 4)), hr_hwc=photo)]
