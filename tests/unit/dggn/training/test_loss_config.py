from __future__ import annotations

from typing import Any

import pytest

from dggn.training.loss_config import CriticConfig, LossConfig, PerceptualConfig
from runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (LossConfig, {"pixel": -1.0}, "pixel is -1.0: a weight must not be negative"),
        (LossConfig, {"pixel": 0.0}, "nothing would train the pictures"),
        (LossConfig, {"pixel": 0.0, "branch_gradient": 9.0}, "nothing would train the pictures"),
        (PerceptualConfig, {"network": "vgg16"}, "choose one of vgg19, squeezenet"),
        (PerceptualConfig, {"compare": "angles"}, "choose one of values, directions"),
        (PerceptualConfig, {"network": "squeezenet"}, r"name their \.npz file"),
        (PerceptualConfig, {"pictures": -1}, "must not be negative"),
        (CriticConfig, {"width": 0}, "both must be at least 1"),
        (CriticConfig, {"steps": 0}, "both must be at least 1"),
        (CriticConfig, {"penalty": 0.0}, "all must be positive"),
        (CriticConfig, {"largest_loss": 0.0}, "all must be positive"),
        (CriticConfig, {"beta1": 1.0}, "expected 0 <= beta1 < 1"),
        (CriticConfig, {"beta2": -0.1}, "expected 0 <= beta2 < 1"),
    ],
)
def test_values_that_make_no_sense(kind: Any, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kind(**values)


@pytest.mark.parametrize("term", ["perceptual", "gradient", "adversarial", "gradient_adversarial"])
def test_any_term_of_the_pictures_may_train_alone(term: str) -> None:
    assert getattr(LossConfig(pixel=0.0, **{term: 0.5}), term) == 0.5


def test_weights_make_squeezenet_complete() -> None:
    config = PerceptualConfig(network="squeezenet", weights="squeezenet.npz", layers=("fire9",))
    assert config.layers == ("fire9",)
