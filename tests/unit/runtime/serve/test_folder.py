from __future__ import annotations

import stat
import sys
import tempfile
from pathlib import Path

import pytest

from runtime.errors import TargetError
from runtime.serve.folder import PREFIX, PrivateFolder
from tests.support.processes import posix_only, started, wait_until

HOLD = """
import sys, time
from runtime.serve.folder import PrivateFolder
folder = PrivateFolder()
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@posix_only
def test_only_this_user_can_look_in(temporary: Path) -> None:
    with PrivateFolder() as folder:
        assert folder.path.parent == temporary
        with folder.room() as room:
            for path in (folder.path, room):
                assert stat.S_IMODE(path.stat().st_mode) == 0o700
            (room / "picture").write_bytes(b"secret")
        assert not room.exists()
    assert not list(temporary.glob(f"{PREFIX}*"))


@posix_only
def test_the_next_server_removes_what_a_crash_left(temporary: Path) -> None:
    with started([sys.executable, "-c", HOLD]) as first:
        assert first.stdout
        path = Path(first.stdout.readline().strip())
        (path / "room").mkdir()
        (path / "room" / "picture").write_bytes(b"secret")
        with PrivateFolder():
            assert path.exists(), "its server runs"
        first.kill()
        first.wait()
    wait_until(path.exists)
    with PrivateFolder() as folder:
        assert not path.exists()
        assert folder.path.exists()


@posix_only
def test_links_and_others_are_left_alone(temporary: Path) -> None:
    kept = temporary / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"mine")
    (temporary / f"{PREFIX}link").symlink_to(kept, target_is_directory=True)
    (temporary / f"{PREFIX}file").write_bytes(b"mine")
    with PrivateFolder():
        assert (kept / "file").exists()
        assert (temporary / f"{PREFIX}file").exists()


def test_a_full_disk_is_said(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(prefix: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    with pytest.raises(TargetError, match=r"No space left.*TMPDIR"):
        PrivateFolder()
