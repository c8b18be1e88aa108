"""The kits for a borrowed GPU, rehearsed on the CPU from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnxscript", reason="needs the export extra")
pytest.importorskip("isal", reason="needs the cpu extra")

from safetensors.torch import save_file

from tests.benchmarks.gpu.rrdb import RrdbNet, published_name
from tests.campaigns.gpu_kit import cargo
from tests.campaigns.gpu_kit.stages import Stages

ROOT = Path(__file__).parents[2]
RECIPE = """
preset = "dggn-lite"
steps = 2
precision = "fp32"
[data]
patch_lr_px = 8
batch_size = 1
"""


def kit(name: str, folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", f"tests.campaigns.gpu_kit.{name}", *arguments, "--rehearse"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "DGGN_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def found(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    assert read["problems"] == {}
    return read


@pytest.mark.slow
def test_the_first_kit(tmp_path: Path) -> None:
    y, x = np.mgrid[0:64, 0:96]
    picture = np.stack([2 * x, 3 * y, x + y], axis=-1).astype(np.uint8)
    for inside in ("train/a/one.jpg", "train/a/two.jpg", "val/one.jpg"):
        (tmp_path / "data" / inside).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "data" / inside)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "psnr.toml").write_text(RECIPE)
    pieces, out = str(tmp_path / "cargo"), tmp_path / "out"
    data = ["--data", str(tmp_path / "data"), "--onnxruntime"]
    said = kit("first", tmp_path, "prepare", pieces, *data)
    assert "step 1 needs:" in said and "first-2-1-of-1" in said
    said = kit("first", tmp_path, "run", pieces, str(out), "--step", "1", "--seconds", "200")
    assert "s left] dggn-run" in said, "stages are timed"
    measured = found(out / "first-1.json")
    assert measured["slots, batches of 2, no graphs"]["psnr_db"] > 50
    assert measured["dggn-run"]["png, second"]["computed_mp_per_s"] > 0
    assert {row["form"] for row in measured["units"]["rows"]} == {"grouped", "separate"}
    kit("first", tmp_path, "run", pieces, str(out), "--step", "3", "--seconds", "200")
    found_here = found(out / "first-3.json")
    assert {found_here[f"heuristic, {layout}"]["psnr_db"] > 50 for layout in ("NCHW", "NHWC")} == {
        True
    }
    training = ["--step", "2", "--seconds", "200", "--recipes", str(tmp_path / "recipes")]
    kit("first", tmp_path, "run", pieces, str(out), *training)
    assert found(out / "first-2.json")["training"] == {"exit_code": 0}
    names = sorted(path.name for path in out.rglob("*") if path.is_file())
    assert {"progress.json", "psnr.md", "training.log"} < set(names)
    assert all(path.stat().st_size < 16 << 20 for path in out.rglob("*"))


@pytest.mark.slow
def test_the_kit_for_photographs(tmp_path: Path) -> None:
    y, x = np.mgrid[0:96, 0:128]
    picture = np.stack([2 * x, 2 * y, x + y], axis=-1).astype(np.uint8)
    for inside in ("train/one.png", "val/one.png"):
        (tmp_path / "data" / inside).parent.mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / "data" / inside)
    network = RrdbNet(width=4, blocks=1, growth=2)
    teacher = {published_name(name): one for name, one in network.state_dict().items()}
    save_file(teacher, tmp_path / "teacher.safetensors")
    (tmp_path / "recipes").mkdir()
    recipe = RECIPE.replace("dggn-lite", "dggn-lite-photo")
    recipe = recipe.replace("[data]", '[data]\ntarget = "teacher"')
    (tmp_path / "recipes" / "photo.toml").write_text(recipe)
    pieces, out = str(tmp_path / "cargo"), tmp_path / "out"
    data = ["--data", str(tmp_path / "data"), "--teacher", str(tmp_path / "teacher.safetensors")]
    assert "photo-1-of-1" in kit("photo", tmp_path, "prepare", pieces, *data)
    options = ["--pairs", "3", "--processes", "2", "--recipes", str(tmp_path / "recipes")]
    kit("photo", tmp_path, "run", pieces, str(out), "--seconds", "200", *options)
    measured = found(out / "photo.json")
    assert measured["teaching"] == {"pairs": 4} and measured["training"] == {"exit_code": 0}
    names = {path.name for path in out.rglob("*") if path.is_file()}
    assert {"progress.json", "photo.md", "training.log"} < names


@pytest.mark.slow
def test_the_second_kit(tmp_path: Path) -> None:
    pieces, out = str(tmp_path / "cargo"), tmp_path / "out"
    kit("second", tmp_path, "prepare", pieces)
    kit("second", tmp_path, "run", pieces, str(out), "--seconds", "200")
    measured = found(out / "second.json")
    for name in ("lite", "flagship", "esrgan"):
        assert measured[f"{name}, with copies, no graphs"]["psnr_db"] > 50
        assert measured[f"{name}, engine only, no graphs"]["mp_per_s"] > 0
    assert list(measured["seconds"])[2] == "lite, build", "the quickest first"

    # The same without the rehearsal, on a machine that has no GPU, or not this TensorRT.
    command = [sys.executable, "-m", "tests.campaigns.gpu_kit.engines"]
    command += [str(tmp_path / "cargo" / "unpacked"), str(out), "--seconds", "1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "nothing was built or measured: " in result.stderr
    assert "Done before: unpacking, " in result.stderr
    assert "graphs" in result.stderr.partition("Done before: ")[2]


def test_cargo_goes_over_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    content = np.random.default_rng(0).bytes(100_000)
    (tmp_path / "a" / "large").write_bytes(content)
    pieces = cargo.pack(tmp_path / "cargo", "x", [("inside", tmp_path / "a")], piece_mb=0.03)
    assert [path.name for path in pieces] == [f"x-{n}-of-4" for n in range(1, 5)]
    cargo.unpack(tmp_path / "cargo", "x", tmp_path / "out")
    assert (tmp_path / "out" / "inside" / "large").read_bytes() == content
    pieces[2].unlink()
    with pytest.raises(FileNotFoundError, match="x-3-of-4 is missing: bring it over"):
        cargo.unpack(tmp_path / "cargo", "x", tmp_path / "other")


def test_archives_keep_what_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "python" / "bin").mkdir(parents=True)
    program = tmp_path / "python" / "bin" / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    archive = cargo.archived(tmp_path / "python")
    archive.rename(tmp_path / "work" / archive.name)
    cargo.decompress(tmp_path / "work")
    assert os.access(tmp_path / "work" / "python" / "bin" / "python", os.X_OK)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["python"]


def test_large_files_are_compressed_over_any_distance(tmp_path: Path) -> None:
    if sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd", reason="needs the dev extra")
    block = np.random.default_rng(0).bytes(20_000_000)
    library = tmp_path / "lib" / "a.so.8"
    library.parent.mkdir()
    library.write_bytes(block * 2)
    cargo.compress(library)
    (packed,) = library.parent.iterdir()
    assert packed.name == "a.so.8.zst"
    assert packed.stat().st_size < 1.01 * len(block), "the second half is found in the first"
    cargo.decompress(tmp_path)
    assert library.read_bytes() == block * 2
    assert [path.name for path in library.parent.iterdir()] == ["a.so.8"]


def test_a_stage_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    stages = Stages(tmp_path / "out" / "x.json", 100)

    def fail(out: dict[str, Any]) -> None:
        out["begun"] = True
        raise ValueError("no kernel")

    stages.run("one", fail)
    stages.run("two", lambda out: out.update(rate=3))
    stages.run("three", lambda out: None, needs_s=1000)
    kept = json.loads((tmp_path / "out" / "x.json").read_text())
    assert kept["one"] == {"begun": True} and kept["two"] == {"rate": 3}
    assert kept["problems"]["one"] == "ValueError: no kernel"
    assert kept["problems"]["three"].startswith("TimeoutError: ")
    assert set(kept["seconds"]) == {"one", "two", "three"}
