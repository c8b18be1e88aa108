from __future__ import annotations

import json
from pathlib import Path

from runtime.jobs.entries import Entry, line_of, merged, read_entries
from runtime.jobs.stamp import SourceStamp


def entry(run: int, sha256: str = "s", size: int | None = 1) -> Entry:
    source = SourceStamp(size_bytes=1, mtime_ns=2, sha256=sha256)
    return Entry(source=source, settings="f", output_bytes=size, run=run)


def test_lines_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text(line_of("a.png", entry(1)) + line_of("a.png", entry(2)) + "{torn")
    assert read_entries(path) == {"a.png": entry(2)}


def test_lines_of_older_versions_are_of_run_0(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    fields = json.loads(line_of("a.png", entry(5)))
    del fields["run"]
    path.write_text(json.dumps(fields) + "\n")
    assert read_entries(path) == {"a.png": entry(0)}


def test_the_latest_run_has_the_last_word() -> None:
    old, new = {"a": entry(1, "old"), "b": entry(1)}, {"a": entry(2, "new")}
    assert merged([old, new]) == merged([new, old]) == {"a": entry(2, "new"), "b": entry(1)}


def test_a_result_that_two_runs_claim_is_only_begun() -> None:
    """Shards that saw different listings may have given one name to two pictures."""
    claims = [{"a": entry(1, "one")}, {"a": entry(1, "two")}]
    assert merged(claims)["a"].output_bytes is None
    assert merged([claims[0], claims[0]]) == claims[0]
    assert merged([*claims, {"a": entry(2, "redone")}])["a"] == entry(2, "redone")
