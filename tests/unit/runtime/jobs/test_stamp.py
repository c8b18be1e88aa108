from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.jobs.stamp import SourceStamp, canonical_path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    return path


def test_an_untouched_file_keeps_its_stamp(source: Path) -> None:
    stamp = SourceStamp.of(source)
    assert stamp.seems_unchanged(source)
    assert stamp.still_of(source)
    assert SourceStamp.of(source) == stamp


def test_new_content_of_the_same_length_and_time_is_another_version(source: Path) -> None:
    stamp, status = SourceStamp.of(source), source.stat()
    source.write_bytes(b"other")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    # Size and modification time are equal; the time of the status change differs.
    assert stamp.seems_unchanged(source)
    assert not stamp.still_of(source)
    assert SourceStamp.of(source).sha256 != stamp.sha256


def test_a_longer_file_is_seen_at_once(source: Path) -> None:
    stamp = SourceStamp.of(source)
    source.write_bytes(b"longer than before")
    assert not stamp.seems_unchanged(source)
    assert not stamp.still_of(source)


def test_a_moved_file_is_not_the_same(source: Path) -> None:
    stamp = SourceStamp.of(source)
    moved = source.rename(source.with_name("b.png"))
    assert not stamp.still_of(moved)
    with pytest.raises(FileNotFoundError):
        stamp.still_of(source)


def test_folders_are_resolved_but_a_link_counts_as_itself(source: Path) -> None:
    folder = source.parent / "link"
    folder.symlink_to(source.parent, target_is_directory=True)
    assert canonical_path(folder / "a.png") == canonical_path(source)
    link = source.with_name("c.png")
    link.symlink_to(source)
    assert canonical_path(link) == str(Path(os.path.realpath(source.parent), "c.png"))


@pytest.mark.skipif(os.name == "nt", reason="needs named pipes")
def test_a_pipe_is_refused_without_reading_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        SourceStamp.of(pipe)
