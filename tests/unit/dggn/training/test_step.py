from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from dggn.data.pairs import Pair
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.loss_config import LossConfig
from dggn.training.parallel import ProcessContext
from dggn.training.state import TrainingState
from dggn.training.step import FUSION, Step


@contextmanager
def opened(config: TrainConfig, pairs: list[Pair]) -> Iterator[tuple[TrainingState, Step]]:
    state = TrainingState.fresh(config)
    process = ProcessContext(device=torch.device("cpu"))
    with open_batches(config.data, config.seed, pairs, process) as batches:
        yield state, Step(state, batches, process)


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in module.named_parameters()}


def moved(before: dict[str, Tensor], module: torch.nn.Module) -> set[str]:
    return {name for name, one in module.named_parameters() if not one.equal(before[name])}


def test_a_step_lowers_the_loss_it_reports(config: TrainConfig, pairs: list[Pair]) -> None:
    with opened(config, pairs) as (state, step):
        losses = []
        for number in range(config.steps):
            losses.append(step(number / config.steps).read()["loss"])
            state.step += 1
        terms = step(1.0).read()
    assert sum(losses[-4:]) < 0.95 * sum(losses[:4])
    assert terms["loss"] == pytest.approx(terms["pixel"] + terms["branch_gradient"])


def test_the_rate_warms_up_and_ends(config: TrainConfig, pairs: list[Pair]) -> None:
    with opened(config, pairs) as (state, step):
        first = step(0.0).read()["learning_rate"]
        state.step = 6
        later = step(0.5).read()["learning_rate"]
        last = step(1.0).read()["learning_rate"]
    assert first == pytest.approx(config.optimizer.learning_rate / 2)
    assert later == pytest.approx(config.optimizer.learning_rate / 2)
    assert last == pytest.approx(0, abs=1e-9)


def test_muon_moves_the_kernels_at_its_own_rate(config: TrainConfig, pairs: list[Pair]) -> None:
    optimizer = replace(config.optimizer, muon_learning_rate=0.02)
    with opened(replace(config, optimizer=optimizer), pairs) as (state, step):
        state.step = 6  # past the warm-up
        before = weights(state.generator)
        step(0.5)
        kernels = dict(state.generator.named_parameters())
        name = "image_tail.last.weight"  # others wait for it to leave zero
        change = (kernels[name] - before[name]).detach().flatten(1)
    rows, columns = change.shape
    assert rows > columns
    # Half of the rate by the cosine, for singular values near 1, and more for tall matrices.
    expected = 0.01 * (rows / columns) ** 0.5
    assert torch.linalg.matrix_norm(change, ord=2).item() == pytest.approx(expected, rel=0.3)


def test_the_average_follows_the_weights(config: TrainConfig, pairs: list[Pair]) -> None:
    with opened(config, pairs) as (state, step):
        before = weights(state.average)
        step(0.0)
        now = weights(state.generator)
        for name, average in weights(state.average).items():
            # At step 0 the average keeps a tenth of itself.
            expected = torch.lerp(before[name], now[name], 0.9)
            assert torch.allclose(average, expected, atol=1e-7), name


def test_only_the_fusion_learns_at_first(gan_config: TrainConfig, pairs: list[Pair]) -> None:
    with opened(gan_config, pairs) as (state, step):
        before = weights(state.generator)
        step(0.0)
        first = moved(before, state.generator)
        assert first
        assert all(name.startswith(FUSION) for name in first)
        state.step = 1
        step(0.3)
        assert any(not name.startswith(FUSION) for name in moved(before, state.generator))


def test_critics_learn_and_are_reported(gan_config: TrainConfig, pairs: list[Pair]) -> None:
    with opened(gan_config, pairs) as (state, step):
        before = {name: weights(critic.network) for name, critic in state.critics.items()}
        terms = step(0.0).read()
        assert set(before) == {"image", "gradient"}
        for name, critic in state.critics.items():
            assert moved(before[name], critic.network)
            assert {f"{name}_critic", f"{name}_penalty"} <= set(terms)
            assert all(one.requires_grad for one in critic.network.parameters())
    assert {"adversarial", "gradient_adversarial", "perceptual"} <= set(terms)


def test_batches_are_those_of_the_step_number(gan_config: TrainConfig, pairs: list[Pair]) -> None:
    numbers: list[int] = []
    with opened(gan_config, pairs) as (state, step):
        take = step._batches.batch

        def batch(number: int) -> tuple[Tensor, Tensor]:
            numbers.append(number)
            return take(number)

        step._batches.batch = batch  # type: ignore[method-assign]
        state.step = 2
        step(0.5)
    # Two for the critics and one for the generator in each step.
    assert numbers == [6, 7, 8]


def test_a_branch_without_a_loss_is_not_trained(config: TrainConfig, pairs: list[Pair]) -> None:
    config = replace(config, loss=LossConfig(pixel=1.0, branch_gradient=0.0))
    with opened(config, pairs) as (state, step):
        terms = step(0.0).read()
        assert "branch_gradient" not in terms
        assert not any(one.requires_grad for one in state.generator.gradient_tail.parameters())
