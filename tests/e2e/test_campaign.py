"""The training campaigns at a tiny scale, on the CPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the train extra")

from dggn.model.checkpoint import load_generator
from dggn.model.config import PRESETS
from dggn.training.state import WEIGHTS_NAME
from runtime.model.info import model_path

APP = "from dggn.training.cli import app; app()"
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
def campaign(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command over tiny pictures and recipes."""
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
        command = [sys.executable, "-c", APP, "campaign", name]
        folders = [str(tmp_path / one) for one in ("data", "out")]
        options = ["--work", str(tmp_path / "work"), "--recipes", str(tmp_path / "recipes")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}
        return subprocess.run(
            [*command, *folders, *options, "--eager", "--device", "cpu", *arguments],
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
    assert early.returncode == 2
    assert "train psnr first, or name a checkpoint by --start" in early.stderr
    stopped = campaign("psnr", "--stop-after", "0.000001")
    assert stopped.returncode == 130
    assert "run the same command to resume" in stopped.stderr
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
def test_the_photo_model_learns_from_a_teacher_and_from_critics(
    tmp_path: Path, campaign: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for name, other in (("photo", "psnr"), ("photo-gan", "gan")):
        text = (tmp_path / "recipes" / f"{other}.toml").read_text()
        text = text.replace("dggn-lite", "dggn-lite-photo")
        text = text.replace("[data]", '[data]\ntarget = "teacher"\noriginals = 0.5')
        (tmp_path / "recipes" / f"{name}.toml").write_text(text)
    early = campaign("photo")
    assert early.returncode == 2
    assert "contains no taught set" in early.stderr.replace("\n", " ")
    taught = tmp_path / "data" / "taught" / "one"
    command = [sys.executable, "-c", APP, "teach", str(tmp_path / "data" / "train"), str(taught)]
    command += ["--teacher", str(model_path("dggn-lite")), "--count", "2", "--size", "16"]
    subprocess.run(command, check=True, timeout=300)
    for name, own in (("photo", ["| photo"]), ("photo-gan", ["| photo", "| photo-gan"])):
        done = campaign(name)
        assert done.returncode == 0, done.stderr
        table = (tmp_path / "out" / f"{name}.md").read_text()
        rows = [line.split(" | ")[0] for line in table.splitlines()[4:]]
        assert rows == ["| bicubic", *own, "| originals"]
        shutil.rmtree(tmp_path / "work")  # another machine goes on
    assert (tmp_path / "out" / "photo-gan" / "weights-0000004-1-of-1").is_file()


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
