from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from runtime.errors import TargetError
from runtime.system import files
from runtime.system.files import (
    NotReplaced,
    name_problem,
    remove_temporaries,
    remove_unfinished,
    replacing,
    temporary_path,
    write_whole,
)
from tests.support.processes import posix_only


def test_the_folder_is_made_and_an_older_file_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_keeps_the_older_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(TargetError, match="file cannot be written: No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match="cannot be written"):
        write_whole(tmp_path / "file" / "inside", b"")


def test_leftovers_are_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    leftover = temporary_path(tmp_path / "a")
    leftover.write_bytes(b"half")
    with replacing(tmp_path / "b") as file:
        file.write(b"whole")
        remove_temporaries([tmp_path])
        assert not leftover.exists()
    assert (tmp_path / "b").read_bytes() == b"whole"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_another_process_leaves_it_too(tmp_path: Path) -> None:
    """Two runs, one's folder inside the other's."""
    code = (
        "import pathlib, sys; from runtime.system.files import remove_temporaries; "
        "remove_temporaries([pathlib.Path(sys.argv[1])])"
    )
    with replacing(tmp_path / "b") as file:
        file.write(b"whole")
        subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_another_run_takes_nothing_between_closing_and_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.replace

    def tidy_first(source: Path, target: Path) -> None:
        remove_temporaries([tmp_path])
        rename(source, target)

    monkeypatch.setattr(os, "replace", tidy_first)
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
@pytest.mark.parametrize("when", ["before the lock", "holding the lock"])
def test_what_another_run_takes_before_it_is_locked_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    lock, calls = files.try_to_lock, []
    rivals = ExitStack()

    def after_another_run(file: IO[bytes]) -> bool:
        calls.append(file.name)
        if len(calls) == 1 and when == "before the lock":
            Path(file.name).unlink()
        elif len(calls) == 1:
            rival = Path(file.name).open("rb")  # noqa: SIM115 -- closed at the end
            assert lock(rivals.enter_context(rival))
        return lock(file)

    monkeypatch.setattr(files, "try_to_lock", after_another_run)
    with rivals:
        write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert len(set(calls)) == 2


def test_what_this_process_writes_is_removed_when_it_must_end(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "b") as file:
            file.write(b"half")
            remove_unfinished()
            assert list(tmp_path.iterdir()) == []

    with pytest.raises(NotReplaced, match="No such file"):
        write()


@posix_only
def test_names_that_a_disk_does_not_hold_are_known_before(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    fits = tmp_path / "new" / ("a" * (longest - 4) + ".png")
    assert name_problem(fits) == ""
    fits.parent.mkdir()
    fits.write_bytes(b"")
    too_long = fits.with_name("a" * (longest - 3) + ".png")
    assert f"has {longest + 1} bytes, and this disk allows {longest}" in name_problem(too_long)
    with pytest.raises(OSError, match="too long"):
        too_long.write_bytes(b"")
    assert "has 300 bytes" in name_problem(tmp_path / ("猫" * 100) / "a.png")
    assert "the path of the result has" in name_problem(Path(tmp_path, *["d" * 99] * 50, "a.png"))


def test_without_locks_only_the_leftovers_of_own_targets_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "take_lock", lambda file, shared=False: "unknown")
    own, others = temporary_path(tmp_path / "own.png"), temporary_path(tmp_path / "others.png")
    older = tmp_path / ".dggn-123-abc.partial"
    for path in (own, others, older):
        path.write_bytes(b"half")
    remove_temporaries([tmp_path], of=[tmp_path / "own.png"])
    assert set(tmp_path.iterdir()) == {others, older}
    remove_temporaries([tmp_path])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_leftovers_are_locked_as_nfs_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS grants exclusive locks only on files open for writing."""
    lock = files.take_lock

    def as_nfs(file: IO[bytes], *, shared: bool = False) -> files.LockState:
        return lock(file, shared=shared) if file.writable() else "unknown"

    monkeypatch.setattr(files, "take_lock", as_nfs)
    with replacing(tmp_path / "b") as file:
        file.write(b"whole")
        remove_temporaries([tmp_path])
    assert (tmp_path / "b").read_bytes() == b"whole"
