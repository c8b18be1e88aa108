from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from runtime.errors import TargetError
from runtime.stores.staging import LOCK_NAME, PREFIX, Staging


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_there_and_gone(temporary: Path) -> None:
    with Staging() as folder:
        (folder.sources / "a").write_bytes(b"a")
        (folder.results / "b").write_bytes(b"b")
        assert len(list(temporary.iterdir())) == 1
    assert not list(temporary.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_leftovers_of_killed_runs_are_removed_and_others_are_not(temporary: Path) -> None:
    leftover = temporary / f"{PREFIX}killed"
    leftover.mkdir()
    (leftover / LOCK_NAME).touch()
    with Staging() as running:
        assert not leftover.exists()
        with Staging():
            assert running.sources.is_dir()
        assert running.sources.is_dir()


def test_no_room(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    with pytest.raises(TargetError, match="TMPDIR"):
        Staging()
