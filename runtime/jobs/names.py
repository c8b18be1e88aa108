"""Unique target names, on case-insensitive and normalizing file systems too."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath


def unique_targets(
    preferred: Iterable[tuple[PurePosixPath, PurePosixPath]],
) -> dict[PurePosixPath, tuple[PurePosixPath, bool]]:
    """Give every source a target of its own, on case-insensitive file systems too.

    Where several sources want one name (`a.png` and `a.jpg` both `a.png`), the one that already
    has its suffix gets it, and the others keep their suffix in the name: `a.jpg.png`.

    Args:
        preferred: pairs of a source and its preferred target, both relative.

    Returns:
        For each source its target, and whether that differs from the preferred one.
    """
    ordered = sorted(
        preferred, key=lambda pair: (_suffix(pair[0]) != _suffix(pair[1]), pair[0].parts)
    )
    # Nor may a result have the name of a folder of the tree.
    taken = {_key(folder) for _, target in ordered for folder in target.parents}
    chosen: dict[PurePosixPath, tuple[PurePosixPath, bool]] = {}
    for must_differ in (False, True):
        for source, target in ordered:
            if source in chosen:
                continue
            for candidate in _alternatives(source, target) if must_differ else (target,):
                if _key(candidate) not in taken:
                    taken.add(_key(candidate))
                    chosen[source] = (candidate, must_differ)
                    break
    return chosen


def _alternatives(source: PurePosixPath, target: PurePosixPath) -> Iterator[PurePosixPath]:
    stem = target.stem + source.suffix
    yield target.with_name(stem + target.suffix)
    number = 2
    while True:
        yield target.with_name(f"{stem}-{number}{target.suffix}")
        number += 1


def _suffix(path: PurePosixPath) -> str:
    return path.suffix.lower()


def _key(path: PurePosixPath) -> str:
    """Return a key shared by all names that such a file system considers equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())
