from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the train extra")

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.support.processes import HANGS_S, posix_only, run, started

STEPS = 8


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with pictures and a recipe of short steps."""
    y, x = np.mgrid[0:96, 0:96]
    picture = np.stack([2 * x, 2 * y, x + y], axis=-1).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(picture).save(tmp_path / "photos" / "one.png")
    recipe = (
        f'preset = "dggn-lite"\nsteps = {STEPS}\nprecision = "fp32"\n'
        f"validate_every = {STEPS}\nsave_every = {STEPS}\n"
        "[data]\npatch_lr_px = 8\nbatch_size = 1\n"
    )
    (tmp_path / "recipe.toml").write_text(recipe)
    (tmp_path / "perceptual.toml").write_text(recipe + "[loss]\nperceptual = 1.0\n")
    return tmp_path


COMMAND = [sys.executable, "-c", "from dggn.training.cli import app; app()"]


# One thread: the nets are too small for two, and sums then have a fixed order.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}

SIGNALLED = """
import contextlib, os, signal
from dggn.training import progress
real = progress.show_training
@contextlib.contextmanager
def show_training(stream):
    with real(stream) as show:
        def show_and_stop(report):
            show(report)
            os.kill(os.getpid(), signal.{name})
        yield show_and_stop
progress.show_training = show_training
"""
"""The signal comes with the report of the first step, on whatever machine."""


def _run(folder: Path, *arguments: str, first: str = "") -> subprocess.CompletedProcess[str]:
    python, flag, code = COMMAND
    return run([python, flag, first + code, *arguments], cwd=folder, env=ENVIRONMENT)


def _train(folder: Path, *arguments: str, first: str = "") -> tuple[int, str]:
    done = _run(folder, "run", *arguments, first=first)
    _check_result(done.returncode, done.stdout)
    return done.returncode, done.stderr


def _check_result(code: int, out: str) -> None:
    """A complete run has exactly one result."""
    expected = (0, 0) if code else (1, 1)
    assert (out.count("generator.safetensors"), len(out.splitlines())) == expected


@pytest.mark.slow
@posix_only
def test_interrupted_run_goes_on_to_its_end(workplace: Path) -> None:
    arguments = ["--train", "photos", "--validation", "photos"]
    weights = workplace / "run" / "generator.safetensors"
    steps_done = []
    for name in ("SIGINT", "SIGTERM"):
        signalled = SIGNALLED.format(name=name)
        code, errors = _train(workplace, "recipe.toml", "run", *arguments, first=signalled)
        assert code == 130, errors
        assert "run the same command to resume" in errors
        assert "Traceback" not in errors
        steps_done.append(_step(workplace / "run" / "state.safetensors"))
        assert weights.is_file()
    assert 0 < steps_done[0] < steps_done[1] < STEPS

    code, errors = _train(workplace, "recipe.toml", "run", *arguments)
    assert code == 0, errors
    assert f"step {steps_done[1]}," in errors
    assert "100.0%" in errors
    assert _step(workplace / "run" / "state.safetensors") == STEPS
    (line,) = (workplace / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["psnr_db"] > 10
    assert sorted(path.name for path in (workplace / "run").iterdir()) == [
        "generator.safetensors",
        "log.jsonl",
        "samples",
        "state.safetensors",
        "tensorboard",
    ]


GAN = """
preset = "tiny"
steps = 4
precision = "fp32"
log_every = 1
[data]
patch_lr_px = 8
batch_size = 4
[loss]
gradient = 1.0
adversarial = 0.01
gradient_adversarial = 0.01
[critic]
width = 4
steps = 2
learning_rate = 1e-3
[optimizer]
learning_rate = 1e-3
warmup_steps = 1
"""

WITH_TINY_PRESET = """
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.training.cli import app

PRESETS["tiny"] = GeneratorConfig(
    width=8, image_units=2, gradient_units=1, tail_width=4, se_reduction=2
)
app()
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without distributed")
def test_two_processes_train_like_one(workplace: Path) -> None:
    (workplace / "gan.toml").write_text(GAN)
    (workplace / "train.py").write_text(WITH_TINY_PRESET)
    arguments = ["--train", "photos", "--validation", "photos", "--device", "cpu"]
    alone = [sys.executable, "train.py", "run", "gan.toml", "one", *arguments]
    # Restricted to this machine, whatever its name and networks are.
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    beside = [*torchrun, "train.py", "run", "gan.toml", "two", *arguments]
    for command in (alone, beside):
        # In a process group, so that its children end with it.
        with started(command, cwd=workplace, env=ENVIRONMENT) as process:
            out, errors = process.communicate(timeout=HANGS_S)
        assert process.returncode == 0, errors
        _check_result(process.returncode, out)
        # Only the first process prints.
        assert errors.count("1 training and 1 validation pictures on cpu") == 1
        assert "Warning" not in errors
    one, two = (
        [json.loads(line) for line in (workplace / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(one) == len(two) == 4
    clocks = {"elapsed_s", "images_per_s"}
    for record, other in zip(one, two, strict=True):
        assert record.keys() == other.keys()
        for name in record.keys() - clocks:
            assert other[name] == pytest.approx(record[name], rel=1e-3, abs=1e-5), name
    first, second = (
        load_file(workplace / name / "generator.safetensors") for name in ("one", "two")
    )
    for name, weights in first.items():
        torch.testing.assert_close(second[name], weights, rtol=1e-3, atol=1e-4)


def test_plot_draws_a_run(workplace: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the train extra")
    (workplace / "run").mkdir()
    lines = [{"step": 1, "loss": 0.5, "psnr_db": 20.0}, {"step": 2, "loss": 0.4, "psnr_db": 21.0}]
    (workplace / "run" / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    done = _run(workplace, "plot", "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path("run") / "curves.png")
    with Image.open(workplace / "run" / "curves.png") as image:
        assert image.format == "PNG"


def _step(path: Path) -> int:
    with safe_open(path, framework="pt") as file:
        step: int = json.loads(file.metadata()["header"])["step"]
    return step


@pytest.mark.parametrize(
    ("slow", "precision", "said"), [(True, "bf16", 1), (True, "fp32", 0), (False, "bf16", 0)]
)
def test_slow_bfloat16_is_no_surprise(
    workplace: Path, slow: bool, precision: str, said: int
) -> None:
    first = f"from dggn.training import bfloat16; bfloat16.is_bfloat16_slow = lambda one: {slow}\n"
    words = ("--train", "photos", "--steps", "1", "--precision", precision)
    code, shown = _train(workplace, "recipe.toml", "run", *words, first=first)
    assert code == 0, shown
    assert shown.count("slowly as float32; start with --precision fp32 instead") == said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.toml", "run", "--train", "photos"], 2, "neither a file nor a shipped recipe"),
        (["recipe.toml", "run"], 2, "name a folder with --train"),
        (["recipe.toml", "run", "--train", "photos", "--steps", "0"], 2, "steps is 0"),
        (["recipe.toml", "run", "--train", "photos", "--max-minutes", "0"], 2, "max_minutes is 0"),
        (["recipe.toml", "run", "--train", "none"], 2, "none is not a folder"),
        (["recipe.toml", "recipe.toml/run", "--train", "photos"], 3, "cannot be made"),
        (["recipe.toml", "run", "--train", "photos", "--from", "none"], 2, "none does not exist"),
        (
            ["perceptual.toml", "run", "--train", "photos", "--perceptual-weights", "none.pth"],
            2,
            "none.pth does not exist: expected torchvision's file vgg19-dcbb9e9d.pth",
        ),
        (["recipe.toml", "run", "--train", "photos", "--device", "tpu9"], 2, "choose auto, cpu"),
        (["recipe.toml", "run", "--nonsense"], 2, "No such option"),
    ],
)
def test_mistakes_have_a_code_and_one_clear_line(
    workplace: Path, arguments: list[str], code: int, message: str
) -> None:
    found, errors = _train(workplace, *arguments)
    assert found == code, errors
    assert message in errors
    assert "Traceback" not in errors
    assert not (workplace / "run" / "state.safetensors").exists()
