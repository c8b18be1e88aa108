from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from dggn.model.checkpoint import read_tensors, save_generator, write_tensors
from dggn.settings import to_mapping
from dggn.training.config import DataConfig, TrainConfig
from dggn.training.state import (
    STATE_NAME,
    TRAINING_FORMAT,
    WEIGHTS_NAME,
    TrainingState,
)
from runtime.errors import ModelError, TargetError


@pytest.fixture
def state(config: TrainConfig) -> TrainingState:
    """A state after one step."""
    state = TrainingState.fresh(config)
    state.generator(torch.rand(1, 3, 8, 8)).sum().backward()
    state.optimizer.step()
    state.step, state.elapsed_s, state.warm_up_from = 1, 2.5, 1
    return state


def test_round_trip(tmp_path: Path, config: TrainConfig, state: TrainingState) -> None:
    state.save(tmp_path / STATE_NAME)
    loaded = TrainingState.open(tmp_path, config)
    assert (loaded.step, loaded.elapsed_s, loaded.warm_up_from) == (1, 2.5, 1)
    for mine, theirs in (
        (state.generator, loaded.generator),
        (state.average, loaded.average),
    ):
        for parameter, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(parameter, other)
            assert parameter.stride() == other.stride()
    before, after = (one.optimizer.state_dict()["state"] for one in (state, loaded))
    assert before.keys() == after.keys()
    for index, moments in before.items():
        for name, tensor in moments.items():
            assert torch.equal(tensor, after[index][name])
            assert tensor.stride() == after[index][name].stride()


def test_settings_that_an_earlier_version_did_not_know_have_their_defaults(
    tmp_path: Path, config: TrainConfig, state: TrainingState
) -> None:
    path = tmp_path / STATE_NAME
    state.save(path)
    tensors, header = read_tensors(path, format_name=TRAINING_FORMAT)
    del header["warm_up_from"], header["config"]["save_every_minutes"]
    del header["config"]["data"]["resident"]
    write_tensors(path, tensors, format_name=TRAINING_FORMAT, header=header)
    loaded = TrainingState.open(tmp_path, config)
    assert (loaded.step, loaded.warm_up_from) == (1, 0)
    with pytest.raises(ModelError, match=r"data\.resident was False, is True"):
        TrainingState.open(tmp_path, replace(config, data=replace(config.data, resident=True)))


def test_critics_round_trip(tmp_path: Path, gan_config: TrainConfig) -> None:
    state = TrainingState.fresh(gan_config)
    assert list(state.critics) == ["image", "gradient"]
    for critic in state.critics.values():
        critic.network(torch.rand(2, 3, 32, 32)).sum().backward()
        critic.optimizer.step()
    state.save(tmp_path / STATE_NAME)
    loaded = TrainingState.open(tmp_path, gan_config)
    for name, critic in state.critics.items():
        other = loaded.critics[name]
        for tensor, read in zip(
            critic.network.parameters(), other.network.parameters(), strict=True
        ):
            assert torch.equal(tensor, read)
        before, after = (one.optimizer.state_dict()["state"] for one in (critic, other))
        assert before.keys() == after.keys() and len(before) > 0
        for index, moments in before.items():
            assert all(torch.equal(value, after[index][key]) for key, value in moments.items())


def test_critics_are_those_whose_terms_the_loss_has(gan_config: TrainConfig) -> None:
    without = replace(gan_config, loss=replace(gan_config.loss, gradient_adversarial=0.0))
    assert list(TrainingState.fresh(without).critics) == ["image"]


@pytest.mark.parametrize("as_folder", [True, False])
def test_starts_from_weights_alone(
    tmp_path: Path, config: TrainConfig, state: TrainingState, as_folder: bool
) -> None:
    path = tmp_path / WEIGHTS_NAME
    save_generator(path, state.generator)
    initial = str(tmp_path if as_folder else path)
    started = TrainingState.fresh(replace(config, seed=1, initial=initial))
    assert started.step == 0
    assert not started.optimizer.state_dict()["state"]
    for other in (started.generator, started.average):
        for parameter, expected in zip(
            other.parameters(), state.generator.parameters(), strict=True
        ):
            assert torch.equal(parameter, expected)
            assert parameter.data_ptr() != expected.data_ptr()


def test_resuming_needs_no_initial_weights(
    tmp_path: Path, config: TrainConfig, state: TrainingState
) -> None:
    initial = tmp_path / WEIGHTS_NAME
    save_generator(initial, state.generator)
    config = replace(config, initial=str(initial))
    TrainingState.fresh(config).save(tmp_path / STATE_NAME)
    initial.unlink()
    assert TrainingState.open(tmp_path, config).step == 0


def test_initial_weights_of_another_structure_are_refused(
    tmp_path: Path, config: TrainConfig, state: TrainingState
) -> None:
    save_generator(tmp_path / WEIGHTS_NAME, state.generator)
    other = replace(config, gradient_branch=False, initial=str(tmp_path))
    with pytest.raises(ModelError, match="another structure .*gradient_units was 1, is 0"):
        TrainingState.fresh(other)
    with pytest.raises(ModelError):
        TrainingState.open(tmp_path / "run", other)
    assert not (tmp_path / "run").exists()


def test_average_starts_equal_and_apart(config: TrainConfig) -> None:
    state = TrainingState.fresh(config)
    for parameter, average in zip(
        state.generator.parameters(), state.average.parameters(), strict=True
    ):
        assert torch.equal(parameter, average)
        assert parameter.data_ptr() != average.data_ptr()
        assert not average.requires_grad


def test_weights_depend_on_the_seed(config: TrainConfig) -> None:
    first, again, other = (
        next(TrainingState.fresh(replace(config, seed=seed)).generator.parameters())
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_other_settings_are_refused(
    tmp_path: Path, config: TrainConfig, state: TrainingState
) -> None:
    state.save(tmp_path / STATE_NAME)
    other = replace(config, steps=99, data=DataConfig(patch_lr_px=8, batch_size=3))
    message = r"data\.batch_size was 2, is 3, steps was 12, is 99"
    with pytest.raises(ModelError, match=message):
        TrainingState.open(tmp_path, other)


def test_a_generator_is_no_training_state(
    tmp_path: Path, config: TrainConfig, state: TrainingState
) -> None:
    save_generator(tmp_path / STATE_NAME, state.generator)
    with pytest.raises(ModelError, match="holds generator-1: expected a DGGN training checkpoint"):
        TrainingState.open(tmp_path, config)


@pytest.mark.parametrize(
    "damage",
    [
        {"generator.image_tail.last.bias": torch.zeros(5)},
        {"optimizer.x.exp_avg": torch.zeros(1)},
        {"optimizer.9999.exp_avg": torch.zeros(1)},
        {"optimizer.0.exp_avg": torch.zeros(7)},
        {"surprise": torch.zeros(1)},
    ],
)
def test_damaged_tensors(
    tmp_path: Path, config: TrainConfig, state: TrainingState, damage: dict[str, Any]
) -> None:
    path = tmp_path / STATE_NAME
    state.save(path)
    tensors, header = read_tensors(path, format_name=TRAINING_FORMAT)
    write_tensors(path, {**tensors, **damage}, format_name=TRAINING_FORMAT, header=header)
    with pytest.raises(ModelError, match="is damaged"):
        TrainingState.open(tmp_path, config)


@pytest.mark.parametrize("header", [{}, {"config": 3}, {"config": None, "step": 1}])
def test_damaged_headers(tmp_path: Path, config: TrainConfig, header: dict[str, Any]) -> None:
    path = tmp_path / STATE_NAME
    write_tensors(path, {"a": torch.zeros(1)}, format_name=TRAINING_FORMAT, header=header)
    with pytest.raises(ModelError, match="is damaged"):
        TrainingState.open(tmp_path, config)


def test_missing_step(tmp_path: Path, config: TrainConfig, state: TrainingState) -> None:
    path = tmp_path / STATE_NAME
    state.save(path)
    tensors, _ = read_tensors(path, format_name=TRAINING_FORMAT)
    header = {"config": to_mapping(config), "elapsed_s": 1.0}
    write_tensors(path, tensors, format_name=TRAINING_FORMAT, header=header)
    with pytest.raises(ModelError, match="is damaged"):
        TrainingState.open(tmp_path, config)


def test_folder_that_cannot_be_made(tmp_path: Path, config: TrainConfig) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TargetError, match="cannot be made"):
        TrainingState.open(tmp_path / "file" / "run", config)
