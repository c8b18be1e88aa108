from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxscript", reason="needs the export extra")
torch = pytest.importorskip("torch", reason="needs the export extra")

from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from export.write import ExportOptions, write_onnx
from tests.support.processes import run


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny untrained model and two pictures."""
    folder = tmp_path_factory.mktemp("calibrate")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = GeneratorConfig(width=8, image_units=1, gradient_units=0, tail_width=4, se_reduction=2)
    options = ExportOptions(sample_type="float32", weights="float16", halo_px=16, origin="a test")
    write_onnx(Generator(config).eval(), folder / "tiny.onnx", options)
    (folder / "photos").mkdir()
    y, x = np.mgrid[0:128, 0:160]
    for number in range(2):
        picture = np.stack([x, y, 128 + 100 * np.sin(x * y / 300 + number)], axis=-1)
        Image.fromarray(picture.astype(np.uint8)).save(folder / "photos" / f"{number}.png")
    return folder


def calibrate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from calibration.cli import app; app()", *arguments]
    return run(command, cwd=folder)


SMALL = ("photos", "--model", "tiny.onnx", "--tile", "16", "--tiles", "4", "--max-drop-db", "1")


def test_from_pictures_to_a_model_that_runs(workplace: Path) -> None:
    done = calibrate(workplace, *SMALL, "--max-seam", "255")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny-int8.onnx: ")
    assert "layers in INT8, PSNR drop " in done.stdout
    assert done.stderr.splitlines() == [
        "reading pictures",
        "freezing squeeze-and-excitation",
        "observing ranges",
        "quantizing one layer at a time",
    ]
    command = [sys.executable, "-c", "from runtime.cli import app; app()"]
    command += ["photos/0.png", "large.png", "--model", "tiny-int8.onnx"]
    ran = run(command, cwd=workplace)
    assert ran.returncode == 0, ran.stderr
    assert "in INT8" in ran.stderr
    with Image.open(workplace / "large.png") as large:
        assert large.size == (640, 512)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing",), 2, "nothing is not a folder"),
        (("photos", "--model", "none"), 2, "neither a file nor a shipped model"),
        (("photos", "--model", "tiny.onnx", "--tile", "64"), 2, "smaller than a tile"),
        (("photos", "--model", "tiny.onnx", "-o", "x.pt"), 2, "x.pt does not end in .onnx"),
        (("photos", "--model", "photos/0.png"), 2, "0.png is not a readable ONNX file"),
    ],
)
def test_mistakes_have_a_code_and_one_clear_line(
    workplace: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    before = sorted(workplace.iterdir())
    done = calibrate(workplace, *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(workplace.iterdir()) == before
