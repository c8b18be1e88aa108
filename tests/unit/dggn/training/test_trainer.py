from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from dggn.data.pairs import Pair
from dggn.metrics.fidelity import peak_signal_noise_ratio
from dggn.model.checkpoint import load_generator
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from dggn.training import trainer as trainer_module
from dggn.training.batches import open_batches
from dggn.training.config import TrainConfig
from dggn.training.log import LOG_NAME, read_log
from dggn.training.parallel import open_process
from dggn.training.state import STATE_NAME, WEIGHTS_NAME, TrainingState
from dggn.training.step import TrainingForward
from dggn.training.trainer import StepReport, Trainer
from dggn.training.validation import SAMPLES_FOLDER, degraded_as_trained

Train: TypeAlias = Callable[..., tuple[bool, list[StepReport]]]


def _assert_equal(one: Generator, other: Generator) -> None:
    expected, found = one.state_dict(), other.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_overfits_a_picture(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    config = replace(config, steps=120, validate_every=120, save_every=120)
    (pair,) = pairs
    # Without the picture's noise, which nothing can predict.
    lr, hr = (image[..., [0, 1, 1]].copy("C") for image in (pair.lr_hwc, pair.hr_hwc))
    pair = replace(pair, lr_hwc=lr, hr_hwc=hr)
    complete, reports = train(config, [pair], tmp_path)
    assert complete
    losses = [report.loss for report in reports]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    trained = load_generator(tmp_path / WEIGHTS_NAME)
    untrained = TrainingState.fresh(config).generator
    gain_db = peak_signal_noise_ratio(
        super_resolve(trained, pair.lr_hwc), pair.hr_hwc
    ) - peak_signal_noise_ratio(super_resolve(untrained, pair.lr_hwc), pair.hr_hwc)
    assert gain_db > 0.05


def test_ablation_trains(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    complete, _ = train(replace(config, gradient_branch=False), pairs, tmp_path)
    assert complete
    assert load_generator(tmp_path / WEIGHTS_NAME).config.gradient_units == 0


def test_reports_every_step(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    _, reports = train(config, pairs, tmp_path, validation=pairs)
    assert [report.step for report in reports] == list(range(1, 13))
    assert [report.progress for report in reports] == [step / 12 for step in range(1, 13)]
    assert reports[3].psnr_db is None
    assert reports[4].psnr_db is not None


def test_saves_by_the_clock_too(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(TrainingState, "save", lambda state, path: saved.append(state.step))
    config = replace(config, save_every=1000)
    train(config, pairs, tmp_path / "seldom")
    assert saved == [0, 12]
    saved.clear()
    train(replace(config, save_every_minutes=1e-9), pairs, tmp_path / "often")
    assert saved == [*range(13), 12]


def test_rates_warm_up_again_where_the_optimizers_began(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    config = replace(config, log_every=1)
    train(config, pairs, tmp_path, stop_after=6)
    state = TrainingState.open(tmp_path, config)
    state.warm_up_from = 6
    state.save(tmp_path / STATE_NAME)
    train(config, pairs, tmp_path)
    rates = [record["learning_rate"] for record in read_log(tmp_path)]
    cosine = [5e-3 * 0.5 * (1 + math.cos(math.pi * step / 12)) for step in range(12)]
    warm_up = [0.5, 1, 1, 1, 1, 1] * 2
    assert rates == pytest.approx([a * b for a, b in zip(cosine, warm_up, strict=True)])


@pytest.mark.parametrize("degradation", ["bicubic", "photo"])
def test_validations_are_logged(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair], degradation: str
) -> None:
    config = replace(config, data=replace(config.data, degradation=degradation))
    train(config, pairs, tmp_path, validation=pairs)
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 12]
    for line in lines:
        assert line["loss"] == pytest.approx(line["pixel"] + line["branch_gradient"], rel=1e-5)
    (pair,) = degraded_as_trained(pairs, degradation)
    sr = super_resolve(load_generator(tmp_path / WEIGHTS_NAME), pair.lr_hwc)
    measured = peak_signal_noise_ratio(sr, pair.hr_hwc)
    assert lines[-1]["psnr_db"] == pytest.approx(measured, abs=1e-4)


@pytest.mark.parametrize(
    ("stage", "precision"),
    [("psnr", "fp32"), ("psnr", "bf16"), ("muon", "fp32"), ("gan", "bf16")],
)
def test_resumed_run_equals_a_straight_one_bit_for_bit(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    gan_config: TrainConfig,
    pairs: list[Pair],
    stage: str,
    precision: str,
) -> None:
    muon = replace(config.optimizer, muon_learning_rate=0.01)
    chosen = {
        "psnr": config,
        "muon": replace(config, optimizer=muon),
        "gan": replace(gan_config, steps=8, save_every=3),
    }[stage]
    config = replace(chosen, precision=precision)
    assert train(config, pairs, tmp_path / "straight")[0]
    interrupted = tmp_path / "interrupted"
    assert not train(config, pairs, interrupted, stop_after=5)[0]
    assert not train(config, pairs, interrupted, stop_after=1)[0]
    complete, reports = train(config, pairs, interrupted)
    assert complete
    assert [report.step for report in reports] == list(range(7, config.steps + 1))
    one, other = (
        TrainingState.open(folder, config) for folder in (tmp_path / "straight", interrupted)
    )
    _assert_equal(one.generator, other.generator)
    _assert_equal(one.average, other.average)
    _assert_equal(
        load_generator(tmp_path / "straight" / WEIGHTS_NAME),
        load_generator(interrupted / WEIGHTS_NAME),
    )


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_trains_on_a_gpu(
    tmp_path: Path, gan_config: TrainConfig, pairs: list[Pair], compiled: bool
) -> None:
    config = replace(gan_config, precision="bf16", compile=compiled)
    reports: list[StepReport] = []
    with open_process("cuda") as process:
        state = TrainingState.open(tmp_path, config, process.device)
        with open_batches(config.data, config.seed, pairs, process) as batches:
            trainer = Trainer(state, batches, pairs, tmp_path, process)
            assert trainer.run(progress=reports.append, should_stop=lambda: False)
        resumed = TrainingState.open(tmp_path, config, process.device)
    assert all(math.isfinite(report.loss) for report in reports)
    assert next(resumed.generator.parameters()).device.type == "cuda"
    _assert_equal(resumed.generator, state.generator)


def test_finished_run_stays_as_it_is(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    train(config, pairs, tmp_path)
    before = load_generator(tmp_path / WEIGHTS_NAME)
    complete, reports = train(config, pairs, tmp_path)
    assert complete
    assert reports == []
    _assert_equal(load_generator(tmp_path / WEIGHTS_NAME), before)


def test_time_ends_the_run_with_its_schedule_completed(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A clock that advances at every reading, not while other programs run.
    clock = SimpleNamespace(monotonic=partial(next, itertools.count()))
    monkeypatch.setattr(trainer_module, "time", clock)
    config = replace(config, steps=10**9, max_minutes=2, save_every=10**9)
    complete, reports = train(config, pairs, tmp_path)
    assert complete
    assert reports[-2].progress < reports[-1].progress == 1.0
    state = TrainingState.open(tmp_path, config)
    assert 120 <= state.elapsed_s < 140
    assert state.optimizer.param_groups[0]["lr"] < 0.5 * config.optimizer.learning_rate


def test_validating_counts_as_training_time(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(*arguments: object) -> dict[str, float]:
        time.sleep(0.3)
        return {"psnr_db": 20.0, "ssim": 0.5}

    monkeypatch.setattr(trainer_module, "validate", slow)
    config = replace(config, steps=3, validate_every=1, save_every=10**9)
    train(config, pairs, tmp_path, validation=pairs)
    assert TrainingState.open(tmp_path, config).elapsed_s >= 0.6


def test_both_stages_log_their_terms(
    tmp_path: Path, train: Train, config: TrainConfig, gan_config: TrainConfig, pairs: list[Pair]
) -> None:
    train(replace(config, log_every=6), pairs, tmp_path / "psnr")
    gan = replace(gan_config, initial=str(tmp_path / "psnr"))
    train(gan, pairs, tmp_path / "gan", validation=pairs)
    first, second = (
        [json.loads(line) for line in (tmp_path / stage / LOG_NAME).read_text().splitlines()]
        for stage in ("psnr", "gan")
    )
    common = {"step", "elapsed_s", "loss", "learning_rate", "images_per_s"}
    fidelity = {"pixel", "branch_gradient"}
    adversarial = {"perceptual", "gradient", "adversarial", "gradient_adversarial"}
    critics = {"image_critic", "image_penalty", "gradient_critic", "gradient_penalty"}
    assert [line["step"] for line in first] == [5, 6, 10, 12]
    assert [line["step"] for line in second] == [1, 2, 3, 4]
    assert all(line.keys() == common | fidelity for line in first)
    for line in second[:-1]:
        assert line.keys() == common | fidelity | adversarial | critics
        total = sum(line[name] for name in fidelity | adversarial)
        assert line["loss"] == pytest.approx(total, rel=1e-4)
    assert second[-1].keys() - second[0].keys() == {"psnr_db", "ssim"}
    assert (tmp_path / "gan" / SAMPLES_FOLDER / "step-0000004.png").is_file()


def test_first_steps_train_the_fusion_alone(
    tmp_path: Path, train: Train, gan_config: TrainConfig, pairs: list[Pair]
) -> None:
    before = TrainingState.fresh(gan_config).generator.state_dict()
    for steps_done, changed in ((1, {"image_tail.last.weight", "image_tail.last.bias"}), (2, None)):
        train(gan_config, pairs, tmp_path, stop_after=1)
        state = TrainingState.open(tmp_path, gan_config)
        assert state.step == steps_done
        after = state.generator.state_dict()
        found = {name for name in before if not torch.equal(before[name], after[name])}
        if changed is None:
            assert len(found) > 20
        else:
            assert found == changed


def test_critics_learn_to_tell_pictures_apart(
    tmp_path: Path, train: Train, gan_config: TrainConfig, pairs: list[Pair]
) -> None:
    critic = replace(gan_config.critic, width=8, steps=5, learning_rate=5e-3)
    still = replace(gan_config.optimizer, learning_rate=1e-9)
    config = replace(gan_config, steps=10, critic=critic, optimizer=still, save_every=10)
    train(config, pairs, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    # The first improvements over bilinear interpolation come from the gradients.
    assert np.mean([line["gradient_critic"] for line in lines]) < -0.5
    # A critic begins nearly flat, where the penalty is its weight, 10.
    for name in ("image_penalty", "gradient_penalty"):
        assert np.mean([line[name] for line in lines[2:]]) < 8


def test_a_branch_that_nothing_asks_for_is_left_alone(
    tmp_path: Path, train: Train, config: TrainConfig, pairs: list[Pair]
) -> None:
    config = replace(config, loss=replace(config.loss, branch_gradient=0.0))
    train(config, pairs, tmp_path)
    trained = TrainingState.open(tmp_path, config).generator
    fresh = TrainingState.fresh(config).generator
    assert torch.equal(trained.gradient_tail.last.weight, fresh.gradient_tail.last.weight)
    assert not torch.equal(trained.gradient_head.conv.weight, fresh.gradient_head.conv.weight)


def test_compiles_when_asked(
    tmp_path: Path,
    train: Train,
    config: TrainConfig,
    gan_config: TrainConfig,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[type] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module)))
    train(replace(config, steps=1), pairs, tmp_path / "plain")
    assert compiled == []
    train(replace(config, steps=1, compile=True), pairs, tmp_path / "psnr")
    assert compiled == [TrainingForward]
    compiled.clear()
    # The critics' steps need its pictures without gradients.
    train(replace(gan_config, steps=1, compile=True), pairs, tmp_path / "gan")
    assert compiled == [TrainingForward, Generator]
