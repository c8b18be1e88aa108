"""Searches a folder tree for pictures and videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from runtime.codecs.formats import READABLE_SUFFIXES
from runtime.system.path_text import path_text
from runtime.video.formats import CLIP_SUFFIXES

SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@sharebin", "@snapshot", "@tmp"),
        *("#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information"),
        *("__macosx", "lost+found"),
    }
)
"""Folders for thumbnails and deleted files of storage devices and systems, in lower case."""


@dataclass(kw_only=True)
class Found:
    """Result of searching a folder."""

    pictures: list[PurePosixPath] = field(default_factory=list)
    """Paths of pictures relative to the folder (`path_text`), in no particular order."""
    clips: list[PurePosixPath] = field(default_factory=list)
    """Paths of videos, likewise."""
    hidden: int = 0
    other: int = 0
    links: int = 0
    system: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Folders that could not be listed completely, and the reasons."""


def walk(source: Path) -> Found:
    """Search for pictures and videos, including linked files but not linked folders.

    Raises:
        OSError: the folder itself cannot be listed; those below it may.
    """
    found = Found()
    waiting = [source]
    while waiting:
        folder = waiting.pop()
        try:
            waiting += _listed(folder, source, found)
        except OSError as error:
            if folder == source:
                raise
            _report(folder, source, found, error)
    return found


def _listed(folder: Path, source: Path, found: Found) -> Iterator[Path]:
    """Sort the entries of a folder, and yield its subfolders to search."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                found.hidden += 1
                continue
            try:
                is_link, is_folder = entry.is_symlink(), _is_folder(entry)
            except OSError as error:  # a mount whose server is gone, perhaps
                _report(path, source, found, error)
                continue
            if is_folder and is_link:
                found.links += 1
            elif is_folder and entry.name.lower() in SYSTEM_FOLDERS:
                found.system += 1
            elif is_folder:
                yield path
            elif path.suffix.lower() in READABLE_SUFFIXES:
                found.pictures.append(_name(path, source))
            elif path.suffix.lower() in CLIP_SUFFIXES:
                found.clips.append(_name(path, source))
            else:
                found.other += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one.

    Raises:
        OSError: nobody can tell, and it is no link.
    """
    try:
        return entry.is_dir()
    except OSError:
        if entry.is_symlink():  # to something out of reach
            return False
        raise


def _name(path: Path, source: Path) -> PurePosixPath:
    return PurePosixPath(path_text(path.relative_to(source).as_posix()))


def _report(folder: Path, source: Path, found: Found, error: OSError) -> None:
    name = str(_name(folder, source))
    found.unreadable.append((name, f"cannot list the folder: {error.strerror or error}"))
