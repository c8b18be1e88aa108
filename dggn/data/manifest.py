"""Manifests of sets on disk: JSON lines with a header, a record for each item, and an end mark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from runtime.errors import ConfigError, TargetError
from runtime.system.files import write_whole
from runtime.system.path_text import local_path, path_text, readable

T = TypeVar("T")
Record: TypeAlias = Mapping[str, Any]

_FORMAT, _END = "format", "complete"


def write_records(
    path: Path, format_name: str, header: Record, records: Iterable[Record], *, complete: bool
) -> None:
    """Replace a manifest atomically.

    Args:
        path: the manifest.
        format_name: name and version of its format.
        header: facts about the whole set.
        records: the items so far.
        complete: whether these are all.

    Raises:
        TargetError: it cannot be written.
    """
    lines = [{_FORMAT: format_name, **header}, *records]
    if complete:
        lines.append({_END: len(lines) - 1})
    write_whole(path, "".join(map(_line, lines)).encode())


def append_record(path: Path, record: Record) -> None:
    """Append an item to a manifest.

    Raises:
        TargetError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(record))
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror or error}") from error


def read_records(
    path: Path,
    format_name: str,
    build: Callable[[dict[str, Any], list[dict[str, Any]], bool], T],
    *,
    remedy: str,
) -> T | None:
    """Read a manifest, without a last line truncated by a crash.

    Args:
        path: the manifest.
        format_name: name and version that its format must have.
        build: makes the result of the header, the records, and whether the set is complete. Its
            `ConfigError` means damage, too.
        remedy: what to do about a damaged manifest.

    Returns:
        What `build` returns; None if there is no manifest.

    Raises:
        ConfigError: the manifest is damaged or of another version.
    """
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        header, *records = map(_record, text[: text.rfind("\n") + 1].splitlines())
        found = header.pop(_FORMAT)
        if found != format_name:
            raise ConfigError(f"its format is {found!r}: expected {format_name!r}")
        complete = bool(records) and _END in records[-1]
        return build(header, records[:-1] if complete else records, complete)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(f"{path} is damaged or of another version ({error}): {remedy}") from error


def _line(record: Record) -> str:
    return f"{json.dumps(_changed(record, path_text))}\n"


def _record(line: str) -> dict[str, Any]:
    record: dict[str, Any] = _changed(json.loads(line), lambda text: local_path(readable(text)))
    return record


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text: most are names of files."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _changed(one, change) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_changed(one, change) for one in value]
    return value
