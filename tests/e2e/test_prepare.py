from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:96, 0:112]
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = np.stack([2 * x, 2 * y, (x * y) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(folder / "one.png")
    return folder


def prepare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dggn.training.cli import app; app()", "prepare"]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_folder_is_prepared_and_bad_pictures_are_listed(pictures: Path, tmp_path: Path) -> None:
    arguments = ("pictures", "set", "--size", "48", "--step", "24")
    done = prepare(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "12 sub-images of 1 pictures in set\n"
    assert done.stderr == "1 of 1 pictures  one.png\n"
    (pictures / "bad.png").write_bytes(b"nothing")
    done = prepare(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stdout == "12 sub-images of 1 pictures in set\n"
    assert "skipped bad.png: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", "set"), "none is not a folder"),
        (("pictures", "set", "--size", "50"), "must be positive multiples of 4"),
        (("pictures", "pictures/set"), "lies inside pictures"),
    ],
)
def test_mistakes_have_one_clear_line(
    pictures: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = prepare(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
