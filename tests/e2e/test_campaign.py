"""The training campaigns at a tiny scale, on the CPU."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.model.checkpoint import load_generator
from dggn.model.config import PRESETS, GeneratorConfig
from dggn.training.config import DataConfig, TrainConfig
from dggn.training.loss_config import CriticConfig, LossConfig
from dggn.training.state import STATE_NAME, WEIGHTS_NAME, TrainingState
from runtime.errors import ModelError

ROOT = Path(__file__).parents[2]
CAMPAIGNS = ROOT / "tests" / "campaigns"
RECIPE = """
preset = "dggn-lite"
steps = 4
precision = "bf16"
validate_every = 2
[data]
patch_lr_px = 8
batch_size = 1
"""


@pytest.fixture
def portable() -> ModuleType:
    specification = importlib.util.spec_from_file_location("portable", CAMPAIGNS / "portable.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A run with critics, half done."""
    tiny = GeneratorConfig(
        width=8, image_units=2, gradient_units=1, upsampler_widths=(4, 4, 4), se_reduction=2
    )
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    return TrainConfig(
        preset="tiny",
        steps=10,
        data=DataConfig(patch_lr_px=8, batch_size=1, train=("here",)),
        loss=LossConfig(adversarial=0.1),
        critic=CriticConfig(width=4),
    )


@pytest.fixture
def run(tmp_path: Path, config: TrainConfig) -> Path:
    """Its folder."""
    (tmp_path / "run").mkdir()
    state = TrainingState.fresh(config)
    state.step, state.elapsed_s = 5, 30.0
    state.save(tmp_path / "run" / STATE_NAME)
    return tmp_path / "run"


def test_a_run_travels_in_small_parts(
    tmp_path: Path,
    portable: ModuleType,
    config: TrainConfig,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(portable, "PART_BYTES", 10_000)
    target = tmp_path / "carried"
    target.mkdir()
    (target / "weights-0000001-1-of-1").write_bytes(b"of an earlier time")
    portable.write_portable(run, target)
    parts = sorted(target.glob("weights-*"))
    assert len(parts) > 1
    assert all(part.stat().st_size <= 10_000 for part in parts)
    assert sorted(path.name for path in target.iterdir()) == [
        "progress.json",
        *(f"weights-0000005-{number}-of-{len(parts)}" for number in range(1, len(parts) + 1)),
    ]
    joined = tmp_path / "joined.safetensors"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    expected = TrainingState.resume(run / STATE_NAME, config).average.state_dict()
    for name, weights in load_generator(joined).state_dict().items():
        assert torch.equal(weights, expected[name].half().float())

    there = tmp_path / "there"
    assert portable.restore(target, there, {"data": {"train": ["there"]}}, "psnr")
    moved = replace(config, initial="psnr", data=replace(config.data, train=("there",)))
    state = TrainingState.open(there, moved)
    assert (state.step, state.elapsed_s, state.warm_up_from) == (5, 30.0, 5)
    for network in (state.generator, state.average):
        for name, weights in network.state_dict().items():
            assert torch.equal(weights, expected[name].half().float())
    assert not portable.is_complete(there)
    # What is there is never overwritten.
    assert not portable.restore(target, there, {}, None)
    assert not portable.restore(tmp_path / "nothing", tmp_path / "new", {}, None)
    parts[0].write_bytes(b"another")
    with pytest.raises(ModelError, match="do not belong together"):
        portable.restore(target, tmp_path / "new", {}, None)


@pytest.fixture
def campaign(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the script over tiny pictures and recipes."""
    y, x = np.mgrid[0:64, 0:96]
    picture = np.stack([2 * x, 3 * y, x + y], axis=-1).astype(np.uint8)
    for folder in ("train", "val", "benchmark/Set1/HR"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / "data" / folder / "one.png")
    (tmp_path / "recipes").mkdir()
    for recipe in ("psnr", "gan", "ablation-psnr", "ablation-gan"):
        branch = "" if recipe in ("psnr", "gan") else "gradient_branch = false"
        loss = (
            "[loss]\nadversarial = 0.01\n[critic]\nwidth = 2\nsteps = 1"
            if recipe.endswith("gan")
            else ""
        )
        (tmp_path / "recipes" / f"{recipe}.toml").write_text(branch + RECIPE + loss)

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.campaigns.flagship", name]
        folders = [str(tmp_path / one) for one in ("data", "out")]
        options = ["--work", str(tmp_path / "work"), "--recipes", str(tmp_path / "recipes")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}
        return subprocess.run(
            [*command, *folders, *options, "--eager", "--device", "cpu", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.slow
def test_both_stages_and_a_lost_machine(
    tmp_path: Path, campaign: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    early = campaign("gan")
    assert early.returncode == 1
    assert "train psnr first, or name a checkpoint by --start" in early.stderr
    stopped = campaign("psnr", "--stop-after", "0.000001")
    assert stopped.returncode == 130
    assert "go on with the same command" in stopped.stderr
    done = campaign("psnr")
    assert done.returncode == 0, done.stderr
    assert "| psnr | Set1 | 1 |" in (tmp_path / "out" / "psnr.md").read_text()

    # Another machine, on which the run is half done.
    shutil.rmtree(tmp_path / "work")
    progress = tmp_path / "out" / "psnr" / "progress.json"
    progress.write_text(json.dumps({**json.loads(progress.read_text()), "step": 2}))
    done = campaign("psnr")
    assert done.returncode == 0, done.stderr
    assert "; step 2," in done.stderr
    assert json.loads(progress.read_text())["step"] == 4

    # And another one for stage two, which starts from what stage one left in OUTPUT.
    shutil.rmtree(tmp_path / "work")
    done = campaign("gan")
    assert done.returncode == 0, done.stderr
    assert "; step 0," in done.stderr
    assert load_generator(tmp_path / "work" / "gan" / WEIGHTS_NAME).config == PRESETS["dggn-lite"]
    assert (tmp_path / "out" / "gan" / "weights-0000004-1-of-1").is_file()


@pytest.mark.slow
def test_ablation_is_one_command(
    tmp_path: Path, campaign: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = campaign("ablation", "--steps", "2")
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "out" / "ablation.md").read_text()
    for run in ("with-psnr", "without-psnr", "with-gan", "without-gan"):
        assert f"| {run} | val | 1 |" in table
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()[4:]]
    psnr = {cells[1]: float(cells[4]) for cells in rows if cells[2] == "Set1"}
    found = psnr["with-gan minus without-gan"]
    assert found == pytest.approx(psnr["with-gan"] - psnr["without-gan"], abs=0.006)
    # Few files: of each arm the later stage alone.
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ablation.md",
        "with-gan",
        "without-gan",
    ]


def test_campaign_recipes_are_read_and_complete() -> None:
    from dggn.training.config import read_config

    recipes = CAMPAIGNS / "recipes"
    names = ("psnr", "gan", "lite", "ablation-psnr", "ablation-gan")
    psnr, gan, lite, one, two = (read_config(str(recipes / f"{name}.toml")) for name in names)
    assert (psnr.preset, gan.preset, lite.preset) == ("dggn", "dggn", "dggn-lite")
    # The ablation takes away the branch and its terms, and nothing else.
    assert replace(one, gradient_branch=True, loss=psnr.loss) == psnr
    without = replace(two, gradient_branch=True, fusion_only_steps=gan.fusion_only_steps)
    assert replace(without, loss=gan.loss) == gan
    terms = (two.loss.gradient, two.loss.gradient_adversarial, two.loss.branch_gradient)
    assert terms == (0, 0, 0)
    assert all(value for value in vars(gan.loss).values())
