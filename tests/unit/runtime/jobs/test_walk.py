from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from runtime.jobs.walk import walk


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_every_entry_is_counted_once(tmp_path: Path) -> None:
    for name in ("a.PNG", "below/b.jpg", "below/deeper/c.tiff", "notes.txt", ".hidden.png"):
        touch(tmp_path / name)
    touch(tmp_path / "@eaDir" / "thumbnail.jpg")
    touch(tmp_path / ".git" / "x.png")
    found = walk(tmp_path)
    names = {PurePosixPath(name) for name in ("a.PNG", "below/b.jpg", "below/deeper/c.tiff")}
    assert set(found.pictures) == names
    assert (found.other, found.hidden, found.system, found.links) == (1, 2, 1, 0)
    assert not found.unreadable


def test_linked_files_are_taken_and_linked_folders_are_not(tmp_path: Path) -> None:
    elsewhere = touch(tmp_path / "elsewhere" / "a.png")
    source = tmp_path / "source"
    source.mkdir()
    (source / "linked.png").symlink_to(elsewhere)
    (source / "folder").symlink_to(elsewhere.parent, target_is_directory=True)
    (source / "circle").symlink_to(source, target_is_directory=True)
    found = walk(source)
    assert found.pictures == [PurePosixPath("linked.png")]
    assert found.links == 2


def test_a_link_to_nowhere_is_reported_when_it_is_read_not_here(tmp_path: Path) -> None:
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    assert walk(tmp_path).pictures == [PurePosixPath("lost.png")]


def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        walk(touch(tmp_path / "file"))
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "missing")
