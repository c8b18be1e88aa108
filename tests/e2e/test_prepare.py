from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.processes import (
    BLOCKS_S,
    SOON_S,
    posix_only,
    run,
    run_on_terminal,
    started,
    wait_until,
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:96, 0:112]
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = np.stack([2 * x, 2 * y, (x * y) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(folder / "one.png")
    return folder


@pytest.fixture
def many_pictures(pictures: Path) -> Path:
    """Enough pictures for a signal to arrive in between."""
    content = (pictures / "one.png").read_bytes()
    for number in range(200):
        (pictures / f"more{number:03}.png").write_bytes(content)
    return pictures


COMMAND = [sys.executable, "-c", "from dggn.training.cli import app; app()", "prepare"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
SMALL = ("--size", "48", "--step", "24")
BLOCKS = f"""
import time
from dggn.training import prepare
real = prepare.append_source
def append_source(target, source):
    if source.name == "more150.png":
        time.sleep({BLOCKS_S})
    real(target, source)
prepare.append_source = append_source
"""
"""However late a signal comes, it comes before the end."""


def prepare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([*COMMAND, *arguments], cwd=folder, env=ENVIRONMENT)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_is_prepared_and_bad_pictures_are_listed(pictures: Path, tmp_path: Path) -> None:
    arguments = ("pictures", "set", *SMALL)
    done = prepare(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "12 sub-images of 1 pictures in set\n"
    assert done.stderr == "100.0%  1 of 1 pictures  one.png\n"
    (pictures / "bad.png").write_bytes(b"nothing")
    done = prepare(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stdout == "12 sub-images of 1 pictures in set\n"
    assert "skipped bad.png: " in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
@posix_only
def test_stopped_in_the_middle_and_resumed(many_pictures: Path, tmp_path: Path, name: str) -> None:
    arguments = ("pictures", "set", *SMALL)
    manifest = tmp_path / "set" / "prepared.jsonl"
    python, flag, code, *rest = COMMAND
    command = [python, flag, BLOCKS + code, *rest, *arguments]
    with started(command, cwd=tmp_path, env=ENVIRONMENT) as process:
        wait_until(lambda: manifest.is_file() and manifest.read_bytes().count(b"\n") >= 10, process)
        process.send_signal(getattr(signal, name))
        out, errors = process.communicate(timeout=SOON_S)
    done = manifest.read_bytes().count(b"\n") - 1
    assert 9 <= done < 201
    if name != "SIGKILL":
        assert process.returncode == 130
        assert errors.endswith("stopped; run the same command to resume (set)\n")
        assert not list((tmp_path / "set").rglob("*.partial"))
    assert "Traceback" not in errors
    assert out == ""
    kept = (tmp_path / "set" / "HR" / "more000_s001.ppm").stat().st_mtime_ns
    for target in ("set", "whole"):
        again = prepare(tmp_path, "pictures", target, *SMALL)
        assert again.returncode == 0, again.stderr
        assert again.stdout == f"2412 sub-images of 201 pictures in {target}\n"
    assert content(tmp_path / "set") == content(tmp_path / "whole")
    assert (tmp_path / "set" / "HR" / "more000_s001.ppm").stat().st_mtime_ns == kept


@posix_only
def test_a_bar_on_a_terminal(pictures: Path, tmp_path: Path) -> None:
    code, text = run_on_terminal(
        [*COMMAND, "pictures", "set", *SMALL],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    assert code == 0
    for part in ("━", "100%", "0:00:00", "1 of 1 pictures  one.png"):
        assert part in text


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
