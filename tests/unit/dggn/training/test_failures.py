"""Runs that cannot continue stop with a message, and keep their last good checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from dggn.data.pairs import Pair
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.loss import GeneratorLoss
from dggn.training.parallel import ProcessContext
from dggn.training.state import STATE_NAME, TrainingState
from dggn.training.trainer import StepReport, Trainer
from runtime.errors import ConfigError, TargetError

pytestmark = pytest.mark.usefixtures("train")

CPU = ProcessContext(device=torch.device("cpu"))

Train: TypeAlias = Callable[..., tuple[bool, list[StepReport]]]


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Steps 1 to 4 are saved; the seventh fails.
    calls = 0
    plain = GeneratorLoss.forward

    def loss(self: GeneratorLoss, *arguments: Any) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        terms = plain(self, *arguments)
        return {**terms, "pixel": terms["pixel"] * (math.nan if calls == 7 else 1)}

    monkeypatch.setattr(GeneratorLoss, "forward", loss)
    with pytest.raises(
        ConfigError, match=rf"at step 6 the loss is nan \(from pixel\).*\[optimizer\].*{STATE_NAME}"
    ):
        train(config, pairs, tmp_path)
    state = TrainingState.open(tmp_path, config)
    assert state.step == 4


def test_an_exploding_critic_keeps_the_last_good_checkpoint(
    tmp_path: Path, train: Train, gan_config: TrainConfig, pairs: list[Pair]
) -> None:
    train(gan_config, pairs, tmp_path, stop_after=2)
    before = TrainingState.open(tmp_path, gan_config)
    state = TrainingState.open(tmp_path, gan_config)
    with torch.no_grad():
        state.critics["gradient"].network.score.weight.mul_(1e30)
    with (
        open_batches(gan_config.data, 0, pairs, CPU) as batches,
        pytest.raises(ConfigError, match=f"at step 2 the critic of the gradient.*{STATE_NAME}"),
    ):
        Trainer(state, batches, [], tmp_path).run(
            progress=lambda report: None, should_stop=lambda: False
        )
    after = TrainingState.open(tmp_path, gan_config)
    assert after.step == 2
    expected, found = before.generator.state_dict(), after.generator.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_critic_that_no_longer_scores_is_named(
    tmp_path: Path, gan_config: TrainConfig, pairs: list[Pair]
) -> None:
    state = TrainingState.open(tmp_path, gan_config)
    critic = state.critics["image"]

    def ruin(*arguments: object) -> None:
        critic.network.score.weight.data.fill_(math.nan)

    # The critic's own step does it; its loss was finite before.
    critic.optimizer.register_step_post_hook(ruin)
    state.config = replace(gan_config, critic=replace(gan_config.critic, steps=1))
    with (
        open_batches(gan_config.data, 0, pairs, CPU) as batches,
        pytest.raises(ConfigError, match=r"loss is nan \(from adversarial\).*\[critic\]"),
    ):
        Trainer(state, batches, [], tmp_path).run(
            progress=lambda report: None, should_stop=lambda: False
        )


def test_a_folder_that_vanishes_is_an_error_of_the_target(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair]
) -> None:
    folder = tmp_path / "run"
    state = TrainingState.open(folder, config)
    folder.rmdir()
    folder.write_text("in the way")
    with (
        open_batches(config.data, 0, pairs, CPU) as batches,
        pytest.raises(TargetError, match="cannot be written"),
    ):
        Trainer(state, batches, [], folder).run(
            progress=lambda report: None, should_stop=lambda: False
        )
