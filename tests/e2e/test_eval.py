from __future__ import annotations

import csv
import io
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
from tests.support.processes import run


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A benchmark of two pictures, a plain folder of the same, and an untrained checkpoint."""
    y, x = np.mgrid[0:49, 0:66]
    picture = np.stack([3 * x, 4 * y, 128 + 100 * np.sin(x * y / 300)], axis=-1).astype(np.uint8)
    for name in ("Set2/HR", "Set2/LR_x4", "plain"):
        (tmp_path / name).mkdir(parents=True)
    for name, hr in (("one", picture), ("two", picture[::-1].copy())):
        Image.fromarray(hr).save(tmp_path / "Set2" / "HR" / f"{name}.png")
        Image.fromarray(hr).save(tmp_path / "plain" / f"{name}.png")
        lr = bicubic_resize(hr[:48, :64], Fraction(1, 4))
        Image.fromarray(lr).save(tmp_path / "Set2" / "LR_x4" / f"{name}.bmp")
    config = GeneratorConfig(width=8, image_units=1, gradient_units=1, tail_width=4, se_reduction=2)
    save_generator(tmp_path / "tiny.safetensors", Generator(config))
    return tmp_path


def _evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dggn.metrics.cli import app; app()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120"}
    return run(command, cwd=folder, env=environment)


def test_json_of_a_checkpoint_on_two_benchmarks(workplace: Path) -> None:
    done = _evaluate(
        workplace, "model", "tiny.safetensors", "--benchmark", "Set2", "plain", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert (report["model"], report["channel"], report["border_px"]) == ("tiny", "Y", 4)
    given, made = report["benchmarks"]
    assert (given["name"], made["name"]) == ("Set2", "plain")
    assert [picture["name"] for picture in given["pictures"]] == ["one.png", "two.png"]
    # The given reductions equal ours.
    assert given["mean"] == made["mean"]
    for figure in ("psnr_db", "ssim"):
        values = [picture[figure] for picture in given["pictures"]]
        assert given["mean"][figure] == pytest.approx(np.mean(values))


def test_table_csv_and_markdown_of_bicubic(workplace: Path) -> None:
    arguments = ("model", "bicubic", "--benchmark", "Set2")
    done = _evaluate(workplace, *arguments)
    assert done.returncode == 0, done.stderr
    name, header, *lines = done.stdout.strip().splitlines()
    assert name == "Set2"
    assert [line.split()[0] for line in lines] == ["one.png", "two.png", "mean"]
    assert len({len(line) for line in (header, *lines)}) == 1
    rows = list(csv.DictReader(io.StringIO(_evaluate(workplace, *arguments, "--csv").stdout)))
    assert [row["picture"] for row in rows] == ["one.png", "two.png", "mean"]
    assert 20 < float(rows[-1]["psnr_db"]) < 60
    markdown = _evaluate(workplace, *arguments, "--markdown").stdout
    assert f"| bicubic | Set2 | 2 | {float(rows[-1]['psnr_db']):.2f} |" in markdown


def test_distance_of_features(workplace: Path) -> None:
    random = np.random.default_rng(0)
    sizes = {"conv1": (4, 3, 7), "conv_final": (3, 4, 1)}
    for fire in range(2, 10):
        sizes[f"fire{fire}/conv1x1_1"] = (2, 4, 1)
        sizes[f"fire{fire}/conv1x1_2"] = (2, 2, 1)
        sizes[f"fire{fire}/conv3x3_2"] = (2, 2, 3)
    weights = {}
    for name, (outputs, inputs, kernel) in sizes.items():
        shape = (outputs, inputs, kernel, kernel)
        weights[f"{name}.weight"] = random.normal(0, 0.3, shape).astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
    np.savez(workplace / "squeezenet.npz", allow_pickle=False, **weights)
    features = ("--features", "squeezenet.npz")
    done = _evaluate(workplace, "model", "bicubic", "plain", *features, "--json")
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert 0 < benchmark["mean"]["features"] < 7 * 4
    done = _evaluate(workplace, "images", "Set2/HR", "plain", *features, "--markdown")
    assert "| PSNR (dB) | SSIM | Features |" in done.stdout
    assert "| 0.0000 |" in done.stdout


def test_shipped_model_and_its_pictures(workplace: Path) -> None:
    done = _evaluate(workplace, "model", "dggn-lite", "plain", "--json")
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert benchmark["mean"]["psnr_db"] > 20
    done = _evaluate(workplace, "images", "Set2/HR", "plain", "--json")
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert benchmark["mean"] == {"psnr_db": None, "ssim": pytest.approx(1)}


def test_complexity(workplace: Path) -> None:
    done = _evaluate(workplace, "complexity", "tiny.safetensors", "--size", "64x48")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("tiny ")
    assert "GFLOPs at 64x48" in done.stdout
    assert done.stdout.count("published (Table 4)") == 6


def test_comparison(workplace: Path) -> None:
    done = _evaluate(
        workplace,
        *("compare", "tiny.safetensors", "dggn-lite", "--images", "Set2/HR/one.png"),
        *("--crop", "8,8,32,24", "--output", "figures/four.png"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote figures/four.png\n"
    with Image.open(workplace / "figures" / "four.png") as figure:
        assert figure.width > 400


@pytest.fixture
def photographs(workplace: Path) -> Path:
    """Two pictures with enough texture for NIQE, and made-up parameters for it."""
    random = np.random.default_rng(0)
    (workplace / "photographs").mkdir()
    for name in ("first", "second"):
        rgb = Image.fromarray(random.integers(256, size=(60, 80, 3)).astype(np.uint8))
        rgb.resize((320, 240), Image.Resampling.BICUBIC).save(workplace / f"photographs/{name}.png")
    np.savez(
        workplace / "niqe.npz",
        mu_pris_param=random.random((1, 36)),
        cov_pris_param=np.eye(36),
        gaussian_window=np.full((7, 7), 1 / 49),
    )
    return workplace


def test_realistic_photographs(photographs: Path) -> None:
    arguments = ("--niqe", "niqe.npz", "--model", "tiny.safetensors", "--model", "dggn-lite")
    done = _evaluate(photographs, "realistic", "photographs", *arguments, "--output", "kept")
    assert done.returncode == 0, done.stderr
    header, _, *rows = (line.strip("| ").split(" | ") for line in done.stdout.splitlines())
    assert header == ["model", "benchmark", "pictures", "PSNR (dB)", "SSIM", "NIQE"]
    assert [row[0] for row in rows] == ["bicubic", "tiny", "dggn-lite", "originals"]
    assert {row[1] for row in rows} == {"photographs, realistic, seed 0"}
    # The kept pictures form a benchmark.
    again = _evaluate(photographs, "model", "dggn-lite", "kept", "--niqe", "niqe.npz", "--markdown")
    assert again.stdout.splitlines()[-1].strip("| ").split(" | ")[2:] == rows[2][2:]
    originals = _evaluate(
        photographs, "images", "kept/HR", "kept/HR", "--niqe", "niqe.npz", "--markdown"
    )
    assert originals.stdout.splitlines()[-1].strip("| ").split(" | ")[2:] == rows[3][2:]
    other = _evaluate(photographs, "realistic", "photographs", *arguments[2:4], "--seed", "1")
    assert other.stdout.splitlines()[2].split("|")[4] != rows[0][3]


def test_page(workplace: Path) -> None:
    models = ("--model", "bicubic", "--model", "tiny.safetensors")
    done = _evaluate(workplace, "page", "Set2/LR_x4", *models, "--output", "pages/two.html")
    assert done.returncode == 3, "the folder is not there"
    assert "cannot write the page pages/two.html: No such file" in done.stderr
    done = _evaluate(workplace, "page", "Set2/LR_x4", *models, "--output", "two.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote two.html with 2 pictures\n"
    text = (workplace / "two.html").read_text()
    assert text.count("<article>") == 2
    assert '<span class="is-before">bicubic</span><span class="is-after">tiny</span>' in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["model", "none.safetensors", "plain"], 2, "none.safetensors does not exist"),
        (["model", "none", "plain"], 2, "neither a file nor a shipped model"),
        (["model", "plain/one.png", "plain"], 2, "one.png"),
        (["model", "bicubic", "none"], 2, "none is not a folder"),
        (["model", "bicubic", "plain", "--features", "none.npz"], 2, "none.npz does not exist"),
        (["model", "bicubic", "plain", "--niqe", "none.npz"], 2, "none.npz does not exist"),
        (["realistic", "none", "--model", "bicubic"], 2, "none is not a folder"),
        (["realistic", "plain", "--model", "none"], 2, "neither a file nor a shipped model"),
        (["realistic", "plain", "--model", "bicubic", "-o", "Set2"], 2, "contains other files"),
        (["page", "plain", "--model", "bicubic"], 2, "a page shows two models"),
        (["model", "bicubic"], 2, "no benchmark: name a folder with --benchmark"),
        (["model", "bicubic", "plain", "--json", "--csv"], 2, "--json and --csv exclude each"),
        (["images", "plain", "."], 2, "lacks the results of 2 pictures"),
        (["complexity", "--size", "50"], 2, "expected HEIGHTxWIDTH"),
        (["compare", "bicubic", "--images", "none.png"], 1, "none.png: not a readable picture"),
    ],
)
def test_mistakes_have_a_code_and_one_clear_line(
    workplace: Path, arguments: list[str], code: int, message: str
) -> None:
    done = _evaluate(workplace, *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
