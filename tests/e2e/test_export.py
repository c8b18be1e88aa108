from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the export extra")
pytest.importorskip("onnxscript", reason="needs the export extra")

from runtime.model.info import model_path
from tests.support.processes import run as run_command

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from export.cli import app; app()", *map(str, arguments)]
    return run_command(command, cwd=folder)


@pytest.mark.slow
def test_a_shipped_model_is_written_and_inspected(tmp_path: Path) -> None:
    done = run("onnx", "dggn-lite-photo", "--io", "uint8", "-o", "bytes.onnx", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("bytes.onnx: verified against torch, largest difference ")
    assert [path.name for path in tmp_path.iterdir()] == ["bytes.onnx"]
    shown = run("inspect", "bytes.onnx", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "dggn-lite-photo, x4" in shown.stdout
    assert "uint8[batch, height, width, 3]" in shown.stdout


@pytest.mark.parametrize("name", ["dggn-lite-photo", "dggn-lite", "dggn-lite-int8"])
def test_a_shipped_model_is_inspected_by_its_name(tmp_path: Path, name: str) -> None:
    shown = run("inspect", name, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"{name}.onnx" in shown.stdout


@pytest.mark.slow
def test_a_checkpoint_of_the_flagship_is_written(tmp_path: Path) -> None:
    from dggn.model.checkpoint import save_generator
    from dggn.model.config import preset
    from dggn.model.generator import Generator

    save_generator(tmp_path / "flagship.safetensors", Generator(preset("dggn")))
    done = run("onnx", "flagship.safetensors", "--weights", "int8", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    size_mb = (tmp_path / "flagship.onnx").stat().st_size / 1e6
    # Two such networks and the others must fit into a checkout of 40 MB.
    assert size_mb < 15
    shown = run("inspect", "flagship.onnx", folder=tmp_path)
    assert "dggn, x4" in shown.stdout
    stored = re.search(r"([\d,]+) int8 \(storage only\)", shown.stdout)
    assert stored is not None
    # Of the paper's 14.6 million and the tail that only training uses.
    assert int(stored[1].replace(",", "")) == pytest.approx(14.6e6, rel=0.02)


@pytest.mark.slow
def test_weights_take_four_bits_and_keep_the_pictures(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    import dggn

    options = ("--weights", "int4", "--pictures", EXAMPLES)
    done = run("onnx", "dggn-lite-photo", *options, "-o", "small.onnx", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "small.onnx").stat().st_size < 0.35 * model_path(
        "dggn-lite-photo"
    ).stat().st_size
    assert "int4 (storage only)" in run("inspect", "small.onnx", folder=tmp_path).stdout
    with Image.open(EXAMPLES / "cat.png") as opened:
        cat = np.asarray(opened.convert("RGB").crop((100, 100, 196, 196)))
    results = []
    for model in ("dggn-lite-photo", tmp_path / "small.onnx"):
        with dggn.Upscaler(model, backend="onnxruntime", threads=1) as upscaler:
            results.append(upscaler(cat).astype(np.float64))
    assert np.square(results[0] - results[1]).mean() < 2**2, "levels of 255"


@pytest.mark.slow
def test_a_blend_is_written_and_inspected(tmp_path: Path) -> None:
    done = run("onnx", "--blend", "dggn-lite-photo", "dggn-lite-photo", "0.8", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("blend.onnx: verified against torch, ")
    shown = run("inspect", "blend.onnx", folder=tmp_path)
    assert "0.8 of dggn-lite-photo and 0.2 of dggn-lite-photo" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("onnx", "nosuch.safetensors"), "nosuch.safetensors does not exist"),
        (("onnx", "dggn-lite", "-o", "model.pt"), "model.pt does not end in .onnx"),
        (
            ("inspect", "nosuch.onnx"),
            "neither a file nor a shipped model (dggn-lite-photo, dggn-lite, dggn-photo, dggn)",
        ),
        (("onnx", "dggn-lite-photo", "--halo", "12"), "halo_px is 12: expected a multiple"),
        (("onnx", "--blend", "dggn-lite-photo", "dggn-lite-photo", "2"), "expected the share of A"),
        (
            ("onnx", "--blend", "dggn-lite-photo", "none.onnx", "0.5"),
            "neither a file nor a shipped",
        ),
        (("onnx", "dggn-lite", "--blend", "a", "b", "0.5"), "exclude each other"),
        (("onnx", "dggn-lite", "--weights", "int4"), "--weights int4 and --pictures go together"),
        (("onnx", "dggn-lite", "--pictures", "."), "--weights int4 and --pictures go together"),
        (
            ("onnx", "dggn-lite", "--weights", "int4", "--pictures", "nosuch"),
            "nosuch",
        ),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("dggn-export: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_model_is_not_written_over_itself(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"precious")
    done = run("onnx", "model.onnx", folder=tmp_path)
    assert done.returncode == 2
    assert "model.onnx is the source itself: name another --output" in done.stderr
    assert (tmp_path / "model.onnx").read_bytes() == b"precious"
