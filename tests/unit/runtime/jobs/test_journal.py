from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from runtime.errors import Cancelled, TargetError
from runtime.jobs import journal as journal_module
from runtime.jobs.entries import Entry, line_of
from runtime.jobs.job import Job
from runtime.jobs.journal import Journal, settings_fingerprint
from runtime.jobs.journal_files import JOURNAL_NAME
from runtime.jobs.stamp import SourceStamp
from runtime.system.files import remove_temporaries
from tests.support.processes import run

ROOT = Path(__file__).parents[4]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "out").mkdir()
    (tmp_path / "a.png").write_bytes(b"source")
    return Job(source=tmp_path / "a.png", target=tmp_path / "out/a.png", name="a.png")


@pytest.fixture
def done(job: Job) -> Job:
    """A job whose result is in the journal."""
    with Journal(job.target.parent) as journal:
        stamp = SourceStamp.of(job.source)
        journal.begin(job, stamp, "f")
        job.target.write_bytes(b"result")
        journal.finish(job, stamp, "f")
    return job


def ask(job: Job, fingerprint: str = "f") -> tuple[bool, bool]:
    """Whether it is done, and whether the target belongs to another picture."""
    with Journal(job.target.parent) as journal:
        return journal.is_done(job, fingerprint), journal.is_foreign(job)


def test_nothing_is_known_at_first(job: Job) -> None:
    assert ask(job) == (False, False)


def test_done(done: Job) -> None:
    assert ask(done) == (True, False)
    assert ask(done) == (True, False), "compacting forgets nothing"


def test_a_full_disk_is_named_in_spite_of_what_closing_says(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        def __init__(self, file: IO[str]) -> None:
            self.file = file

        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            self.file.close()
            self.flush()

    def begin() -> None:
        with Journal(job.target.parent) as journal:
            monkeypatch.setattr(journal, "_file", FullDisk(journal._file))
            journal.begin(job, SourceStamp.of(job.source), "f")

    with pytest.raises(TargetError, match="No space left"):
        begin()


def test_other_settings(done: Job) -> None:
    assert ask(done, "g") == (False, False)


def test_changed_source(done: Job) -> None:
    done.source.write_bytes(b"SOURCE")
    os.utime(done.source, ns=(1, 1))
    assert ask(done) == (False, False)


def test_touched_source_is_compared_by_content_once(
    done: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(done.source, ns=(1, 1))
    assert ask(done) == (True, False)

    def fail(path: Path) -> SourceStamp:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(SourceStamp, "of", fail)
    assert ask(done) == (True, False)


def test_deleted_truncated_and_vanished(done: Job) -> None:
    done.target.write_bytes(b"resul")
    assert ask(done) == (False, False)
    done.target.unlink()
    assert ask(done) == (False, False)
    done.target.write_bytes(b"another's")
    assert ask(done) == (False, True), "a result that was deleted is forgotten"


def test_files_that_changed_places_are_told_apart(tmp_path: Path) -> None:
    """With equal size and time, like pictures written in the same second."""
    (tmp_path / "out").mkdir()
    jobs = []
    with Journal(tmp_path / "out") as journal:
        for name in ("a.bmp", "b.bmp"):
            job = Job(source=tmp_path / name, target=tmp_path / "out" / name, name=name)
            job.source.write_bytes(name.encode())
            os.utime(job.source, ns=(1, 1))
            job.target.write_bytes(b"result")
            journal.finish(job, SourceStamp.of(job.source), "f")
            jobs.append(job)
    first, second = jobs
    first.source.rename(tmp_path / "c")
    second.source.rename(first.source)
    (tmp_path / "c").rename(second.source)
    assert [ask(job) for job in jobs] == [(False, False)] * 2


def test_the_same_picture_elsewhere_is_done(done: Job, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    moved = replace(done, source=tmp_path / "moved/a.png")
    done.source.rename(moved.source)
    with Journal(done.target.parent) as journal:
        assert journal.is_done(moved, "f")
        assert journal.made_from(moved) == ""
        assert journal.made_from(replace(moved, name="other settings")) == ""


def test_the_result_of_another_picture_is_known(done: Job, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = replace(done, source=tmp_path / "other/a.png")
    other.source.write_bytes(b"SOURCE")
    with Journal(done.target.parent) as journal:
        assert not journal.is_done(other, "f")
        assert journal.made_from(other) == str(done.source.resolve())
        assert journal.made_from(done) == ""
    done.source.write_bytes(b"changed")
    with Journal(done.target.parent) as journal:
        assert journal.made_from(done) == "", "its own source, though changed"


def test_a_folder_may_be_named_in_several_ways(
    done: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SourceStamp, "of", pytest.fail)
    for source in (Path("a.png"), tmp_path / "link/a.png", Path("out/../a.png")):
        assert ask(replace(done, source=source)) == (True, False)


def test_journals_of_older_versions_are_read(done: Job) -> None:
    path = done.target.parent / JOURNAL_NAME
    entry = json.loads(path.read_text().splitlines()[-1])
    for name in ("inode", "ctime_ns", "path"):
        del entry["source"][name]
    path.write_text(json.dumps(entry) + "\n")
    with Journal(done.target.parent) as journal:
        assert journal.made_from(done) == ""
        assert journal.is_done(done, "f")


def test_vanished_source(done: Job) -> None:
    done.source.unlink()
    assert ask(done) == (False, False)


def test_foreign_output(job: Job) -> None:
    job.target.write_bytes(b"mine")
    assert ask(job) == (False, True)


def test_a_result_that_was_begun_is_ours_but_not_done(job: Job) -> None:
    with Journal(job.target.parent) as journal:
        journal.begin(job, SourceStamp.of(job.source), "f")
    job.target.write_bytes(b"perhaps of an older source")
    assert ask(job) == (False, False)


@pytest.mark.parametrize(
    "garbage", ["", "{", '{"output": "a.png"', "[]\n", "null\n", '{"output": 3}\n', "\x00\xff\n"]
)
def test_torn_and_damaged_lines_are_passed_over(done: Job, garbage: str) -> None:
    path = done.target.parent / JOURNAL_NAME
    with path.open("a", encoding="latin-1") as file:
        file.write(garbage)
    assert ask(done) == (True, False)
    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_the_last_line_counts_and_compacting_drops_the_others(done: Job) -> None:
    path = done.target.parent / JOURNAL_NAME
    assert len(path.read_text().splitlines()) == 2
    assert ask(done) == (True, False)
    assert len(path.read_text().splitlines()) == 1
    assert [entry.name for entry in sorted(done.target.parent.iterdir())] == [
        JOURNAL_NAME,
        "a.png",
    ]


def test_any_name_can_be_recorded(tmp_path: Path) -> None:
    name = 'new\nline "quote" \udcff 圖.png'
    source = tmp_path / "s.png"
    source.write_bytes(b"source")
    job = Job(source=source, target=tmp_path / name, name="s.png")
    with Journal(tmp_path) as journal:
        stamp = SourceStamp.of(source)
        job.target.write_bytes(b"result")
        journal.finish(job, stamp, "f")
    assert ask(job) == (True, False)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_two_runs_at_once(job: Job) -> None:
    folder = str(job.target.parent)
    code = f"import pathlib, runtime.jobs.journal as j; j.Journal(pathlib.Path({folder!r}))"
    with Journal(job.target.parent):
        with pytest.raises(TargetError, match="another dggn-run"):
            Journal(job.target.parent)
        other = run([sys.executable, "-c", code], cwd=ROOT)
        assert "another dggn-run" in other.stderr
    assert ask(job) == (False, False), "free again"


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_a_run_may_wait_for_another(job: Job) -> None:
    first = Journal(job.target.parent)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            first.finish(job, SourceStamp.of(job.source), "f")
            first.close()

    job.target.write_bytes(b"result")
    with Journal(job.target.parent, wait=wait) as second:
        assert second.is_done(job, "f"), "what the other run wrote is known"
    assert len(waited) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")
def test_who_waits_may_give_up(job: Job) -> None:
    def give_up(seconds: float) -> None:
        raise Cancelled

    with Journal(job.target.parent), pytest.raises(Cancelled):
        Journal(job.target.parent, wait=give_up)


def test_a_full_disk_is_a_target_error(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(job.target.parent) as journal, monkeypatch.context() as patch:
        patch.setattr(journal, "_file", type("Full", (), {"write": full})())
        with pytest.raises(TargetError, match="No space left"):
            journal.begin(job, SourceStamp.of(job.source), "f")


def test_a_result_that_vanishes_is_a_target_error(job: Job) -> None:
    with Journal(job.target.parent) as journal, pytest.raises(TargetError, match="vanished"):
        journal.finish(job, SourceStamp.of(job.source), "f")


def test_an_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).mkdir()
    with pytest.raises(TargetError, match="Is a directory"):
        Journal(tmp_path)


def test_only_regular_files_have_a_stamp(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="regular"):
        SourceStamp.of(tmp_path)


def test_the_fingerprint_differs_with_any_setting() -> None:
    fingerprint = settings_fingerprint({"a": 1, "b": None})
    assert fingerprint == settings_fingerprint({"b": None, "a": 1})
    assert fingerprint != settings_fingerprint({"a": 1, "b": 0})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_another_run_that_tidies_up_leaves_the_journal_being_written(
    done: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of one run may contain that of another."""
    line = line_of

    def tidy_first(key: str, entry: Entry) -> str:
        remove_temporaries([done.target.parent])
        return line(key, entry)

    monkeypatch.setattr(journal_module, "line_of", tidy_first)
    with Journal(done.target.parent) as journal:
        assert journal.is_done(done, "f")
    monkeypatch.undo()
    assert ask(done) == (True, False)
    assert not list(done.target.parent.glob("*.partial"))
