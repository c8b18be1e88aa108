"""Folders as found in the wild or crafted by attackers: nothing crashes, hangs or is lost.

All kinds lie in one folder beside intact pictures. Each must end in an error of its own,
or in a result of the right size and colour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.hostile_files import COLOUR, KINDS, SIZE, image

pytest.importorskip("onnxruntime")

if sys.platform == "win32":
    pytest.skip("makes links, pipes and names that Windows does not know", allow_module_level=True)

APP = "from runtime.cli import app; app(prog_name='dggn-run')"


def one_of(name: str) -> str:
    return str(list(KINDS).index(name))


def saved_right(path: Path, size: tuple[int, int] | None) -> None:
    """A result of the right size, whose middle has the colour it should have."""
    with Image.open(path) as result:
        result.load()
        if size is None:
            return
        assert result.size == (4 * size[0], 4 * size[1]), path
        middle = np.asarray(result.convert("RGB"))[result.height // 2, result.width // 2]
    assert np.abs(middle.astype(int) - COLOUR).max() <= 12, (path, middle)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """One run over all kinds, each in a folder of its own beside an intact picture."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, kind in enumerate(KINDS.values()):
        place = folder / "in" / str(number)
        place.mkdir(parents=True)
        image().save(place / "healthy.png")
        kind.make(place / kind.name)
    command = [sys.executable, "-W", "error", "-c", APP, folder / "in", folder / "out", "--json"]
    result = subprocess.run(list(map(str, command)), capture_output=True, timeout=600)
    stderr = result.stderr.decode()
    assert result.returncode == 1, stderr[-2000:]
    return folder, json.loads(result.stdout), stderr


def test_there_are_enough_kinds() -> None:
    assert len(KINDS) >= 60


@pytest.mark.parametrize("name", KINDS)
def test_kind(ran: tuple[Path, dict[str, Any], str], name: str) -> None:
    folder, report, _ = ran
    kind, place = KINDS[name], one_of(name)
    found = [file for file in report["files"] if file["name"] == f"{place}/{kind.name}"]
    result = folder / "out" / place / kind.name
    if kind.fate == "ignored":
        assert not found
        return
    (file,) = found
    assert file["status"] in (("done", "failed") if kind.fate == "either" else (kind.fate,)), file
    if file["status"] == "done":
        saved_right(result, kind.size)
        assert not kind.words or kind.words in " ".join(file["notes"])
    else:
        assert not os.path.lexists(result)
        assert kind.words in file["message"]
        assert "report this" not in file["message"], file


def test_no_sibling_was_lost(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, report, stderr = ran
    for number in range(len(KINDS)):
        saved_right(folder / "out" / str(number) / "healthy.png", SIZE)
    assert "Traceback" not in stderr
    assert "\x1b" not in stderr
    assert not list(folder.rglob("*.partial"))
    totals = report["totals"]
    assert totals["done"] + totals["failed"] == len(report["files"])
    assert totals["ignored"]["links"] == 1


def test_a_second_run_repeats_only_what_failed(ran: tuple[Path, dict[str, Any], str]) -> None:
    folder, report, _ = ran
    command = [sys.executable, "-c", APP, folder / "in", folder / "out", "--json", "--quiet"]
    result = subprocess.run(list(map(str, command)), capture_output=True, timeout=600)
    again = json.loads(result.stdout)
    assert again["totals"]["up_to_date"] == report["totals"]["done"]
    assert again["totals"]["failed"] == report["totals"]["failed"]
    assert again["totals"]["done"] == 0


def test_names_that_collide(tmp_path: Path) -> None:
    names = ["a.png", "A.png", "a.jpg", "A.JPG", "ß.png", "SS.png"]
    names += [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    (tmp_path / "in").mkdir()
    for number, name in enumerate(names):
        Image.new("L", (4, 4), 30 * number).save(tmp_path / "in" / name)
    made = len(list((tmp_path / "in").iterdir()))  # fewer on a case-insensitive disk
    command = [sys.executable, "-c", APP, tmp_path / "in", tmp_path / "out", "--format", "png"]
    result = subprocess.run(list(map(str, command)), capture_output=True, timeout=600)
    assert result.returncode == 0, result.stderr
    found = [path.name for path in (tmp_path / "out").glob("*.png")]
    assert len(found) == made
    keys = {unicodedata.normalize("NFC", name).casefold() for name in found}
    assert len(keys) == made, "no two are one on a disk that ignores case or composition"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    image_path = tmp_path / "in" / "x.png"
    image_path.parent.mkdir()
    image().save(image_path)
    image().save(tmp_path / "in" / "y.png")
    image_path.chmod(0)
    command = [sys.executable, "-c", APP, tmp_path / "in", tmp_path / "out", "--json"]
    result = subprocess.run(list(map(str, command)), capture_output=True, timeout=600)
    assert result.returncode == 1
    saved_right(tmp_path / "out" / "y.png", SIZE)
    assert b"Permission denied" in result.stdout
