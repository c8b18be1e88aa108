from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from dggn.data.bicubic import bicubic_resize
from dggn.model.checkpoint import save_generator
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with two HR pictures, their reductions, and an untrained checkpoint."""
    y, x = np.mgrid[0:49, 0:66]
    picture = np.stack([3 * x, 4 * y, 128 + 100 * np.sin(x * y / 300)], axis=-1).astype(np.uint8)
    for name in ("hr", "lr"):
        (tmp_path / name).mkdir()
    for name, hr in (("one", picture), ("two", picture[::-1].copy())):
        Image.fromarray(hr).save(tmp_path / "hr" / f"{name}.png")
        lr = bicubic_resize(hr[:48, :64], Fraction(1, 4))
        Image.fromarray(lr).save(tmp_path / "lr" / f"{name}.bmp")
    config = GeneratorConfig(
        width=8, image_units=1, gradient_units=1, upsampler_widths=(4, 4, 4), se_reduction=2
    )
    save_generator(tmp_path / "tiny.safetensors", Generator(config))
    return tmp_path


def _evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dggn.metrics.cli import app; app()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_json_of_a_checkpoint(workplace: Path) -> None:
    done = _evaluate(workplace, "tiny.safetensors", "hr", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["model"] == "tiny.safetensors"
    assert (report["channel"], report["border_px"]) == ("Y", 4)
    assert [picture["name"] for picture in report["pictures"]] == ["one.png", "two.png"]
    for which in ("model", "bicubic"):
        for figure in ("psnr_db", "ssim"):
            values = [picture[which][figure] for picture in report["pictures"]]
            assert report["mean"][which][figure] == pytest.approx(np.mean(values))
    assert 20 < report["mean"]["bicubic"]["psnr_db"] < 60


def test_table(workplace: Path) -> None:
    done = _evaluate(workplace, "tiny.safetensors", "hr", "--lr", "lr")
    assert done.returncode == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header.startswith("picture")
    assert [line.split()[0] for line in lines] == ["one.png", "two.png", "mean"]
    assert len({len(line) for line in (header, *lines)}) == 1


def test_shipped_model(workplace: Path) -> None:
    done = _evaluate(workplace, "dggn-lite", "hr", "--json")
    assert done.returncode == 0, done.stderr
    mean = json.loads(done.stdout)["mean"]
    assert mean["model"]["psnr_db"] > 20


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.safetensors", "hr"], 2, "none.safetensors does not exist"),
        (["none", "hr"], 2, "neither a file nor a shipped model"),
        (["hr/one.png", "hr"], 2, "one.png"),
        (["tiny.safetensors", "none"], 2, "none is not a folder"),
        (["tiny.safetensors", "hr", "--lr", "."], 2, "lacks the reductions of 2 pictures"),
        (["tiny.safetensors", "hr", "--lr", "hr"], 2, "one.png is 66x49: expected 16x12"),
    ],
)
def test_mistakes_have_a_code_and_one_clear_line(
    workplace: Path, arguments: list[str], code: int, message: str
) -> None:
    done = _evaluate(workplace, *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
