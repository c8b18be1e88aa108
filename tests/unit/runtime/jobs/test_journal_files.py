"""Journals of shards: which may run at the same time, and their merged content."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runtime.errors import TargetError
from runtime.jobs import journal_files
from runtime.jobs.job import Job
from runtime.jobs.journal import Journal
from runtime.jobs.journal_files import JOURNAL_NAME, journal_name, shard_journals
from runtime.jobs.shard import Shard
from runtime.jobs.stamp import SourceStamp

with_locks = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    (tmp_path / "out").mkdir()
    jobs = []
    for name in ("a.bmp", "b.bmp"):
        (tmp_path / name).write_bytes(name.encode())
        jobs.append(Job(source=tmp_path / name, target=tmp_path / "out" / name, name=name))
    return jobs


def make(job: Job, shard: Shard | None, result: bytes = b"result") -> None:
    with Journal(job.target.parent, shard=shard) as journal:
        stamp = SourceStamp.of(job.source)
        journal.begin(job, stamp, "f")
        job.target.write_bytes(result)
        journal.finish(job, stamp, "f")


def is_done(job: Job, shard: Shard | None = None, *, read_only: bool = False) -> bool:
    with Journal(job.target.parent, shard=shard, read_only=read_only) as journal:
        return journal.is_done(job, "f")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob(".dggn-run*")}


def test_every_run_knows_what_every_shard_did(jobs: list[Job], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for index, job in enumerate(jobs):
        make(job, Shard(index, 2))
    assert names(out) == {JOURNAL_NAME, ".dggn-run.0-of-2.jsonl", ".dggn-run.1-of-2.jsonl"}
    for shard in (Shard(0, 2), Shard(1, 3)):
        assert all(is_done(job, shard) for job in jobs)
    assert all(is_done(job, read_only=True) for job in jobs)


@with_locks
def test_a_whole_run_takes_the_journals_over(jobs: list[Job], tmp_path: Path) -> None:
    for index, job in enumerate(jobs):
        make(job, Shard(index, 2))
    assert all(is_done(job) for job in jobs)
    assert names(tmp_path / "out") == {JOURNAL_NAME}
    assert all(is_done(job, Shard(2, 5)) for job in jobs)


def test_without_locks_no_journal_is_removed(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard may be writing it."""
    monkeypatch.setattr(journal_files, "take_lock", lambda file, shared=False: "unknown")
    for index, job in enumerate(jobs):
        make(job, Shard(index, 2))
    for _ in range(2):
        assert all(is_done(job) for job in jobs)
    assert len(names(tmp_path / "out")) == 3


def test_an_older_journal_does_not_bring_back_what_it_knew(jobs: list[Job]) -> None:
    """All results have the same size, and so do the journals' entries."""
    job, first = jobs[0], jobs[0].source.read_bytes()
    make(job, Shard(0, 1), b"first!")
    job.source.write_bytes(b"other")
    make(job, Shard(1, 2), b"second")
    assert is_done(job, read_only=True)
    job.source.write_bytes(first)
    assert not is_done(job, read_only=True)
    assert not is_done(job, Shard(0, 1)), "the shard that had made it once"
    assert not is_done(job)


def test_a_shard_compacts_its_own_lines_alone(jobs: list[Job], tmp_path: Path) -> None:
    for index, job in enumerate(jobs):
        make(job, Shard(index, 2))
    jobs[0].target.unlink()
    other = tmp_path / "out" / journal_name(Shard(1, 2))
    before = other.read_bytes()
    assert not is_done(jobs[0], Shard(0, 2))
    assert (tmp_path / "out" / journal_name(Shard(0, 2))).read_bytes() == b""
    assert other.read_bytes() == before


@with_locks
def test_shards_run_beside_each_other(jobs: list[Job], tmp_path: Path) -> None:
    with Journal(tmp_path / "out", shard=Shard(0, 2)):
        make(jobs[1], Shard(1, 2))
    assert is_done(jobs[1], Shard(0, 2))


@with_locks
@pytest.mark.parametrize(
    ("running", "next_one", "words"),
    [
        (Shard(0, 2), Shard(0, 2), "another dggn-run with --shard 0/2 is writing"),
        (Shard(0, 2), None, "another dggn-run is writing"),
        (None, Shard(0, 2), "another dggn-run without --shard is writing"),
        (Shard(0, 2), Shard(0, 3), "shard 0/2 is being written"),
    ],
)
def test_who_may_not_run_beside_whom(
    tmp_path: Path, running: Shard | None, next_one: Shard | None, words: str
) -> None:
    with Journal(tmp_path, shard=running):
        before = names(tmp_path)
        with pytest.raises(TargetError, match=words):
            Journal(tmp_path, shard=next_one)
        assert before <= names(tmp_path)
    Journal(tmp_path, shard=next_one).close()


def test_journals_are_told_from_other_files(tmp_path: Path) -> None:
    for name in (JOURNAL_NAME, ".dggn-run.3-of-16.jsonl", ".dggn-run.x-of-16.jsonl", "a.png"):
        (tmp_path / name).touch()
    assert list(shard_journals(tmp_path)) == [Shard(3, 16)]
    assert shard_journals(tmp_path / "missing") == {}
