from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    pytest.importorskip("tomli", reason="needs the train extra")

from dggn.settings import from_mapping, to_mapping
from dggn.training.config import RECIPES_FOLDER, TrainConfig, read_config
from runtime.errors import ConfigError
from tests.support.paper import EQ_6_TERMS


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES_FOLDER.glob("*.toml")))
def test_shipped_recipes_are_valid_and_round_trip(recipe: str) -> None:
    config = read_config(recipe)
    assert from_mapping(TrainConfig, to_mapping(config), where="here") == config


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "dggn-lite"\nsteps = 5\n[data]\nbatch_size = 2\n')
    config = read_config(str(path))
    assert config.steps == 5
    assert config.data.batch_size == 2
    assert config.generator.width == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = ", "not a readable TOML file"),
        ("steps = 5", "missing setting preset"),
        ('preset = "dggn-lite"\nsteps = 5\nstep = 4', "unknown setting 'step': did you mean"),
        ('preset = "big"\nsteps = 5', "no preset is called 'big'"),
        ('preset = "dggn-lite"\nsteps = 0', "steps is 0"),
        ('preset = "dggn-lite"\nsteps = 5\nmax_minutes = 0', "max_minutes is 0"),
        ('preset = "dggn-lite"\nsteps = 5\nseed = -1', "seed is -1"),
        ('preset = "dggn-lite"\nsteps = 5\nprecision = "int8"', "choose bf16 or fp32"),
        ('preset = "dggn-lite"\nsteps = 5\n[data]\npatch_lr_px = 12', "multiple of 8"),
        ('preset = "dggn-lite"\nsteps = 5\n[data]\nbatch_size = 0', "batch_size 0"),
        ('preset = "dggn-lite"\nsteps = 5\n[loss]\npixel = 0', "nothing would train the pictures"),
        ('preset = "dggn-lite"\nsteps = 5\n[loss]\ngradient = -1', "gradient is -1"),
        ('preset = "dggn-lite"\nsteps = 5\n[loss]\nadversary = 1', "did you mean 'adversarial'"),
        ('preset = "dggn-lite"\nsteps = 5\n[perceptual]\nnetwork = "vgg16"', "choose one of vgg19"),
        ('preset = "dggn-lite"\nsteps = 5\n[perceptual]\nnetwork = "squeezenet"', r"\.npz"),
        ('preset = "dggn-lite"\nsteps = 5\n[critic]\nsteps = 0', "steps 0: both"),
        ('preset = "dggn-lite"\nsteps = 5\n[critic]\npenalty = 0', "penalty is 0"),
        ('preset = "dggn-lite"\nsteps = 5\n[critic]\nbeta1 = 1', "0 <= beta1 < 1"),
        ('preset = "dggn-lite"\nsteps = 5\n[optimizer]\nschedule = "step"', "cosine or halving"),
        ('preset = "dggn-lite"\nsteps = 5\nsamples = -1', "samples -1: neither"),
        (
            'preset = "dggn-lite"\nsteps = 5\ngradient_branch = false\nfusion_only_steps = 1',
            "nothing is fused",
        ),
        ('preset = "dggn-lite"\nsteps = 5\n[optimizer]\nlearning_rate = 0', "must be positive"),
        (
            'preset = "dggn-lite"\nsteps = 5\n[optimizer]\nmuon_learning_rate = -1',
            "must not be negative",
        ),
        ('preset = "dggn-lite"\nsteps = 5\n[optimizer]\nlearning_rate = inf', "a finite number"),
        ('preset = "dggn-lite"\nsteps = 5\n[optimizer]\nwarmup_steps = -1', "warmup_steps is -1"),
        ('preset = "dggn-lite"\nsteps = 5\n[optimizer]\nema_decay = 1', "0 <= ema_decay < 1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(str(path))
    assert str(path) in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"neither a file nor a shipped recipe \(ablation-gan, .*lite, photo, psnr",
    ):
        read_config(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="not a readable TOML file"):
        read_config(str(tmp_path))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a readable TOML file"):
        read_config(str(binary))


@pytest.mark.parametrize("minutes", [0.0, -1.0, math.inf, math.nan])
def test_time_must_be_positive_and_finite(minutes: float) -> None:
    with pytest.raises(ConfigError, match="max_minutes"):
        TrainConfig(preset="dggn-lite", steps=1, max_minutes=minutes)
    with pytest.raises(ConfigError, match="save_every_minutes"):
        TrainConfig(preset="dggn-lite", steps=1, save_every_minutes=minutes)


def test_recipes_are_the_papers() -> None:
    psnr, gan, ablation = (read_config(name) for name in ("psnr", "gan", "ablation-gan"))
    assert psnr.batches_per_step == 1
    assert gan.batches_per_step == 6
    assert psnr.generator == gan.generator
    assert gan.data.patch_lr_px == 48
    assert {name for name, weight in vars(gan.loss).items() if weight} == EQ_6_TERMS
    assert ablation.generator.gradient_units == 0
    removed = {"gradient": 0, "gradient_adversarial": 0, "branch_gradient": 0}
    assert to_mapping(ablation.loss) == {**to_mapping(gan.loss), **removed}
    assert read_config("ablation-psnr").generator == ablation.generator
    assert read_config("photo").data.degradation == "photo"
