"""The lines of a journal, and what several journals say together."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from runtime.jobs.stamp import SourceStamp
from runtime.system.path_text import readable

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The record of one result."""

    source: SourceStamp
    settings: str
    """Fingerprint of model and settings."""
    output_bytes: int | None
    """None until it is complete."""
    run: int = 0
    """Larger than in every journal that the run had read. It orders the entries of several
    journals; machines' clocks may disagree."""


def line_of(key: str, entry: Entry) -> str:
    """Return an entry as a line of the journal.

    Args:
        key: the result relative to OUTPUT.
        entry: what is known of it.
    """
    return json.dumps({"output": key, **asdict(entry)}) + "\n"


def read_entries(path: Path) -> dict[str, Entry]:
    """Return the last entry of every result in a journal.

    Raises:
        OSError: it cannot be read.
    """
    entries: dict[str, Entry] = {}
    lost = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                key, entry = _parse(line)
            except (ValueError, TypeError, KeyError, RecursionError):
                # The torn last line of a killed run; its picture is done again.
                lost += 1
                continue
            entries[key] = entry
    if lost > 1:
        _logger.warning("%s: %d damaged lines ignored", path, lost)
    return entries


def merged(journals: Iterable[dict[str, Entry]]) -> dict[str, Entry]:
    """Return what several journals say of each result: the latest run's word.

    Where runs that did not know of each other differ, the result counts as begun only: it is
    ours, but nobody can tell whose version is there.
    """
    entries: dict[str, Entry] = {}
    for journal in journals:
        for key, entry in journal.items():
            known = entries.get(key)
            if known is None or known.run < entry.run:
                entries[key] = entry
            elif known.run == entry.run and known != entry:
                entries[key] = replace(entry, output_bytes=None)
    return entries


def _parse(line: str) -> tuple[str, Entry]:
    fields = json.loads(line)
    source = fields["source"]
    size = fields["output_bytes"]
    # Earlier versions wrote names as the locale had them.
    return readable(str(fields["output"])), Entry(
        source=SourceStamp(
            size_bytes=int(source["size_bytes"]),
            mtime_ns=int(source["mtime_ns"]),
            sha256=str(source["sha256"]),
            inode=int(source.get("inode", 0)),
            ctime_ns=int(source.get("ctime_ns", 0)),
            path=readable(str(source.get("path", ""))),
            etag=str(source.get("etag", "")),
        ),
        settings=str(fields["settings"]),
        output_bytes=None if size is None else int(size),
        run=int(fields.get("run", 0)),
    )
