"""`dggn-run` with so little memory allowed that results are made in strips."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

from tests.support.dggn_run import files, make, run, start
from tests.support.processes import BLOCKS_S, SOON_S, posix_only, wait_until

NOTE = "made in strips"
LITTLE = ("--memory", "0.01")
"""A result of more than 2.5 MB is too large, and a source of more than 0.3 megapixels."""


def test_strips_give_the_pixels_of_the_whole(tmp_path: Path) -> None:
    source = make(tmp_path / "in/a.png", (60, 1100))
    make(tmp_path / "in/small.png", (20, 20))
    whole, strips = tmp_path / "whole", tmp_path / "strips"
    assert run(source.parent, whole).returncode == 0
    for form in ("png", "tiff"):
        page = tmp_path / f"{form}.html"
        result = run(
            *(source.parent, strips / form, *LITTLE, "--format", form, "--json"),
            *("--report", page),
        )
        assert result.returncode == 0, result.stderr
        assert page.read_text(encoding="utf-8").count('type="range"') == 2, "both have a preview"
        notes = {file["name"]: file["notes"] for file in json.loads(result.stdout)["files"]}
        assert [NOTE in note for note in notes["a.png"]] == [True]
        assert notes["small.png"] == []
        for name in ("a", "small"):
            with Image.open(strips / form / f"{name}.{form}") as found:
                expected = Image.open(whole / f"{name}.png")
                assert np.array_equal(np.asarray(found), np.asarray(expected)), (form, name)
        again = run(source.parent, strips / form, *LITTLE, "--format", form)
        assert "2 up to date" in again.stderr


@pytest.mark.slow
def test_a_source_too_large_to_decode(tmp_path: Path) -> None:
    pytest.importorskip("pyvips", exc_type=ImportError)
    source = make(tmp_path / "in/a.jpg", (100, 3200), quality=95)
    whole, strips = tmp_path / "whole.png", tmp_path / "strips.png"
    assert run(source, whole).returncode == 0
    result = run(source, strips, *LITTLE)
    assert result.returncode == 0, result.stderr
    assert NOTE in result.stderr
    with Image.open(whole) as expected, Image.open(strips) as found:
        assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_a_dry_run_tells(tmp_path: Path) -> None:
    source = make(tmp_path / "in/a.png", (60, 1100)).parent
    make(source / "b.webp", (60, 1100))
    result = run(source, tmp_path / "out", "--dry-run", *LITTLE)
    assert result.returncode == 1
    assert NOTE in result.stdout
    assert "b.webp: FAILED" in result.stderr
    assert "choose png, tiff or jpg (--format)" in result.stderr


def has_begun(folder: Path) -> bool:
    """Whether an unfinished result has content; the journal's file may be renamed at any moment."""
    for path in folder.glob("*.partial"):
        with contextlib.suppress(FileNotFoundError):
            if ".journal" not in path.name and path.stat().st_size:
                return True
    return False


NEVER_COMPLETE = f"""
import time, runtime.upscaler as upscaler
real = upscaler.Upscaler.strips
def strips(self, reader, **options):
    yield from real(self, reader, **options)
    time.sleep({BLOCKS_S})
upscaler.Upscaler.strips = strips
"""


@posix_only
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_stopped_in_the_middle_and_done_again(tmp_path: Path, name: str) -> None:
    source = make(tmp_path / "a.png", (900, 900))
    out = tmp_path / "out"
    with start(source, out, "--memory", "0.06", first=NEVER_COMPLETE) as process:
        wait_until(lambda: has_begun(out), process)
        process.send_signal(getattr(signal, name))
        _, stderr = process.communicate(timeout=SOON_S)
    assert "Traceback" not in stderr
    if name == "SIGINT":
        assert process.returncode == 130
        assert files(out) == set()
    else:
        assert process.returncode == -signal.SIGKILL
        assert not list(out.glob("*.png"))
    small = make(tmp_path / "b.png", (20, 20))
    os.replace(small, source)
    again = run(source, out)
    assert again.returncode == 0, again.stderr
    assert files(out) == {"a.png"}
