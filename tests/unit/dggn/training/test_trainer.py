from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from dggn.data.pairs import Pair
from dggn.metrics.fidelity import peak_signal_noise_ratio
from dggn.model.checkpoint import load_generator
from dggn.model.config import PRESETS
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from dggn.training.config import OptimizerConfig, TrainConfig
from dggn.training.loss import fidelity_loss
from dggn.training.state import STATE_NAME, TrainingState
from dggn.training.trainer import (
    LOG_NAME,
    WEIGHTS_NAME,
    StepReport,
    Trainer,
    learning_rate,
)
from runtime.errors import ConfigError, TargetError


def _run(
    config: TrainConfig,
    pairs: list[Pair],
    folder: Path,
    *,
    stop_after: int | None = None,
    validation: list[Pair] | None = None,
) -> tuple[bool, list[StepReport]]:
    reports: list[StepReport] = []
    trainer = Trainer(TrainingState.open(folder, config), pairs, validation or [], folder)
    complete = trainer.run(progress=reports.append, should_stop=lambda: len(reports) == stop_after)
    return complete, reports


def _assert_equal(one: Generator, other: Generator) -> None:
    expected, found = one.state_dict(), other.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_learning_rate_rises_then_follows_a_cosine() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    rises = [learning_rate(config, step, 0.0) for step in range(6)]
    assert rises == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    falls = [learning_rate(config, 100, progress) for progress in (0.0, 0.5, 1.0, 1.5)]
    assert falls == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=1e-12)
    assert learning_rate(replace(config, warmup_steps=0), 0, 0.0) == 1.0


def test_overfits_a_picture(tmp_path: Path, config: TrainConfig, pairs: list[Pair]) -> None:
    config = replace(config, steps=120, validate_every=120, save_every=120)
    (pair,) = pairs
    # Without the picture's noise, which nothing can predict.
    pair = replace(pair, lr_hwc=pair.lr_hwc[..., [0, 1, 1]], hr_hwc=pair.hr_hwc[..., [0, 1, 1]])
    complete, reports = _run(config, [pair], tmp_path)
    assert complete
    losses = [report.loss for report in reports]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    trained = load_generator(tmp_path / WEIGHTS_NAME)
    untrained = TrainingState.fresh(config).generator
    gain_db = peak_signal_noise_ratio(
        super_resolve(trained, pair.lr_hwc), pair.hr_hwc
    ) - peak_signal_noise_ratio(super_resolve(untrained, pair.lr_hwc), pair.hr_hwc)
    assert gain_db > 0.05


def test_ablation_trains(tmp_path: Path, config: TrainConfig, pairs: list[Pair]) -> None:
    PRESETS["tiny"] = replace(PRESETS["tiny"], gradient_units=0)
    complete, _ = _run(config, pairs, tmp_path)
    assert complete
    assert load_generator(tmp_path / WEIGHTS_NAME).config.gradient_units == 0


def test_reports_every_step(tmp_path: Path, config: TrainConfig, pairs: list[Pair]) -> None:
    _, reports = _run(config, pairs, tmp_path, validation=pairs)
    assert [report.step for report in reports] == list(range(1, 13))
    assert [report.progress for report in reports] == [step / 12 for step in range(1, 13)]
    assert reports[3].psnr_db is None
    assert reports[4].psnr_db is not None


def test_validations_are_logged(tmp_path: Path, config: TrainConfig, pairs: list[Pair]) -> None:
    _run(config, pairs, tmp_path, validation=pairs)
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 12]
    for line in lines:
        assert line["loss"] == pytest.approx(line["pixel"] + line["branch_gradient"], rel=1e-5)
    (pair,) = pairs
    sr = super_resolve(load_generator(tmp_path / WEIGHTS_NAME), pair.lr_hwc)
    measured = peak_signal_noise_ratio(sr, pair.hr_hwc)
    assert lines[-1]["psnr_db"] == pytest.approx(measured, abs=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resumed_run_equals_a_straight_one_bit_for_bit(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair], precision: str
) -> None:
    config = replace(config, precision=precision)
    assert _run(config, pairs, tmp_path / "straight")[0]
    interrupted = tmp_path / "interrupted"
    assert not _run(config, pairs, interrupted, stop_after=5)[0]
    assert not _run(config, pairs, interrupted, stop_after=1)[0]
    complete, reports = _run(config, pairs, interrupted)
    assert complete
    assert [report.step for report in reports] == list(range(7, 13))
    one, other = (
        TrainingState.open(folder, config) for folder in (tmp_path / "straight", interrupted)
    )
    _assert_equal(one.generator, other.generator)
    _assert_equal(one.average, other.average)
    _assert_equal(
        load_generator(tmp_path / "straight" / WEIGHTS_NAME),
        load_generator(interrupted / WEIGHTS_NAME),
    )


def test_finished_run_stays_as_it_is(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair]
) -> None:
    _run(config, pairs, tmp_path)
    before = load_generator(tmp_path / WEIGHTS_NAME)
    complete, reports = _run(config, pairs, tmp_path)
    assert complete
    assert reports == []
    _assert_equal(load_generator(tmp_path / WEIGHTS_NAME), before)


def test_time_ends_the_run_with_its_schedule_completed(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair]
) -> None:
    config = replace(config, steps=10**9, max_minutes=0.5 / 60, save_every=10**9)
    complete, reports = _run(config, pairs, tmp_path)
    assert complete
    assert reports[-1].progress == 1.0
    state = TrainingState.open(tmp_path, config)
    assert 0.5 <= state.elapsed_s < 10
    assert state.optimizer.param_groups[0]["lr"] < 0.5 * config.optimizer.learning_rate


def _nan_loss(at_call: int) -> Callable[..., dict[str, torch.Tensor]]:
    calls = 0

    def loss(*arguments: object) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        terms = fidelity_loss(*arguments)  # type: ignore[arg-type]
        return {**terms, "pixel": terms["pixel"] * (math.nan if calls == at_call else 1)}

    return loss


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Steps 1 to 4 are saved; the seventh fails.
    monkeypatch.setattr("dggn.training.trainer.fidelity_loss", _nan_loss(7))
    with pytest.raises(ConfigError, match=f"at step 6 the loss is nan.*{STATE_NAME}"):
        _run(config, pairs, tmp_path)
    state = TrainingState.open(tmp_path, config)
    assert state.step == 4


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair]
) -> None:
    state = TrainingState.open(tmp_path, config)
    parameter = next(state.generator.parameters())
    parameter.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(ConfigError, match="at step 0 .* gradient's norm (nan|inf)"):
        Trainer(state, pairs, [], tmp_path).run(
            progress=lambda report: None, should_stop=lambda: False
        )
    assert torch.isfinite(parameter).all()
    assert TrainingState.open(tmp_path, config).step == 0


def test_a_folder_that_vanishes_is_an_error_of_the_target(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair]
) -> None:
    folder = tmp_path / "run"
    state = TrainingState.open(folder, config)
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(TargetError, match="cannot be written"):
        Trainer(state, pairs, [], folder).run(
            progress=lambda report: None, should_stop=lambda: False
        )


def test_tiny_validation_pictures_are_refused_before_training(
    tmp_path: Path, config: TrainConfig, pairs: list[Pair]
) -> None:
    small = Pair(
        name="small.png",
        lr_hwc=np.zeros((2, 9, 3), np.uint8),
        hr_hwc=np.zeros((8, 36, 3), np.uint8),
    )
    with pytest.raises(ConfigError, match=r"small\.png has nothing inside the 4 px border"):
        Trainer(TrainingState.fresh(config), pairs, [small], tmp_path)
