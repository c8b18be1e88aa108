"""The journal that lets a later run resume: a hidden file in the output folder.

Append-only JSON lines, so that a killed run loses at most its last line. Each line is about one
result: from which source and with which settings it was made, and how large it came out. A line
without an output size says that the result was begun: if the file exists, it is ours, but it
may have been made from an earlier source. Every shard of a run writes a journal of its own, and
every run reads them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from runtime.errors import TargetError
from runtime.jobs.entries import Entry, line_of, merged, read_entries
from runtime.jobs.job import Job
from runtime.jobs.journal_files import (
    JOURNAL_NAME,
    journal_name,
    open_journal,
    refuse_other_counts,
    shard_journals,
)
from runtime.jobs.shard import Shard
from runtime.jobs.stamp import SourceStamp
from runtime.system.files import LockState, NotReplaced, replacing
from runtime.system.path_text import local_path, path_text
from runtime.video.formats import is_clip


def settings_fingerprint(settings: Mapping[str, Any]) -> str:
    """Return a short text that differs whenever a setting does."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


def size_of(target: Path) -> int:
    """Return the size of a result that was just written, in bytes.

    Raises:
        TargetError: it is gone.
    """
    try:
        return target.stat().st_size
    except OSError as error:
        raise TargetError(f"{target} vanished after it was written: {error.strerror}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprints:
    """Fingerprints of the model and the settings that affect results."""

    pictures: str
    clips: str

    def of(self, job: Job) -> str:
        """Return the fingerprint for a job."""
        return self.clips if is_clip(job.source) else self.pictures


class Journal:
    """The journal of an output folder; a context manager that locks it.

    Questions are answered from what all journals said when it was opened, so that its memory does
    not grow with a run. The methods may be called from any thread.

    Args:
        folder: the output folder, which must exist.
        shard: the part of the run that writes it; None for a whole run.
        read_only: answer questions only, without a lock; nothing is written, and the folder need
            not exist.
        wait: called with seconds to wait while another run holds the lock; may raise to give up;
            None to fail at once.

    Raises:
        TargetError: the folder cannot be written, or another run is writing to it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        shard: Shard | None = None,
        read_only: bool = False,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        self._folder = folder
        self._shard = shard
        self._path = folder / journal_name(shard)
        self._guard = threading.Lock()
        self._shared: IO[str] | None = None
        try:
            if read_only:
                self._file: IO[str] = Path(os.devnull).open("a", encoding="utf-8")  # noqa: SIM115
                self._entries, _ = self._read()
                return
            if shard is not None:
                self._shared, _ = self._open(JOURNAL_NAME, shared=True)
            self._file, lock = self._open(self._path.name, wait=wait)
            if shard is not None:
                refuse_other_counts(folder, shard)
            self._entries, own = self._read()
            self._run = 1 + max((entry.run for entry in self._entries.values()), default=0)
            self._compact(own, lock)
        except BaseException as error:
            self.close()
            if isinstance(error, (OSError, NotReplaced)):
                raise self._unwritable(error) from error
            raise

    def is_done(self, job: Job, fingerprint: str) -> bool:
        """Return whether the result is complete and up to date.

        Raises:
            TargetError: the journal cannot be written.
        """
        entry = self._entries.get(self._key(job))
        if entry is None or entry.settings != fingerprint or entry.output_bytes is None:
            return False
        try:
            if job.target.stat().st_size != entry.output_bytes:
                return False
            if job.origin:  # its content is not fetched to be compared
                kept = (entry.source.path, entry.source.etag, entry.source.size_bytes)
                return kept == (job.origin.url, job.origin.etag, job.origin.size_bytes)
            if entry.source.still_of(job.source):
                return True
            # Copied, moved or checked out again: another file, but perhaps the same picture.
            if job.source.stat().st_size != entry.source.size_bytes:
                return False
            stamp = SourceStamp.of(job.source)
        except OSError:
            return False
        if stamp.sha256 != entry.source.sha256:
            return False
        self._record(job, replace(entry, source=stamp))
        return True

    def is_foreign(self, job: Job) -> bool:
        """Return whether the target exists without being recorded in this journal."""
        return self._key(job) not in self._entries and os.path.lexists(job.target)

    def made_from(self, job: Job) -> str:
        """Return the path of the source that the job's target was made from.

        Returns:
            Its path; empty if it is the job's own source, holds the same picture, or is unknown.
        """
        entry = self._entries.get(self._key(job))
        if entry is None or entry.source.path in ("", job.place):
            return ""
        if job.origin:
            return "" if entry.source.etag == job.origin.etag else entry.source.path
        try:
            is_same = SourceStamp.of(job.source).sha256 == entry.source.sha256
        except OSError:
            is_same = False
        return "" if is_same else entry.source.path

    def begin(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """Record that the target is about to be written.

        Raises:
            TargetError: the journal cannot be written.
        """
        self._record(job, Entry(source=source, settings=fingerprint, output_bytes=None))

    def finish(
        self, job: Job, source: SourceStamp, fingerprint: str, *, output_bytes: int | None = None
    ) -> None:
        """Record that the target is complete.

        Args:
            job: whose target it is.
            source: what it was made from.
            fingerprint: of model and settings.
            output_bytes: its size, where another machine wrote it: a network disk may show it
                late. By default this asks the disk.

        Raises:
            TargetError: the journal cannot be written, or the target is gone.
        """
        if output_bytes is None:
            output_bytes = size_of(job.target)
        self._record(job, Entry(source=source, settings=fingerprint, output_bytes=output_bytes))

    def close(self) -> None:
        """Release the lock."""
        # What a full disk refused before is tried again here, and would hide the first error.
        with contextlib.suppress(OSError, AttributeError):  # it may not be open yet
            self._file.close()
        if self._shared:
            self._shared.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _key(self, job: Job) -> str:
        return path_text(job.target.relative_to(self._folder).as_posix())

    def _record(self, job: Job, entry: Entry) -> None:
        line = line_of(self._key(job), replace(entry, run=self._run))
        with self._guard:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise self._unwritable(error) from error

    def _open(
        self,
        name: str,
        *,
        shared: bool = False,
        wait: Callable[[float], None] | None = None,
    ) -> tuple[IO[str], LockState]:
        who = "another dggn-run"
        if self._shard is not None:
            who += " without --shard" if shared else f" with --shard {self._shard}"
        busy = f"{who} is writing to {self._folder}: wait until it ends, or choose another OUTPUT"
        return open_journal(self._folder / name, busy=busy, shared=shared, wait=wait)

    def _read(self) -> tuple[dict[str, Entry], dict[str, Entry]]:
        """Return what all journals say, and what this one says."""
        paths = {self._folder / JOURNAL_NAME, *shard_journals(self._folder).values()}
        journals = {path: read_entries(path) for path in sorted(paths) if path.exists()}
        return merged(journals.values()), journals.get(self._path, {})

    def _compact(self, own: Mapping[str, Entry], lock: LockState) -> None:
        """Drop outdated lines, those of results that were deleted, and a torn one.

        A whole run takes over what the shards' journals say, and removes them.
        """
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if os.path.lexists(self._folder / local_path(key))
        }
        kept = self._entries
        if self._shard is not None:
            kept = {
                key: entry
                for key, entry in own.items()
                if key in self._entries and self._entries[key].run == entry.run
            }
        with replacing(self._path) as file:
            file.writelines(line_of(key, entry).encode() for key, entry in kept.items())
            if sys.platform == "win32":
                self._file.close()  # Windows replaces no open file, and there is no lock to keep.
        old = self._file
        self._file, _ = self._open(self._path.name)
        old.close()
        if self._shard is None and lock == "held":  # so no shard is writing its own
            for path in shard_journals(self._folder).values():
                path.unlink()

    def _unwritable(self, error: OSError | NotReplaced) -> TargetError:
        reason = error.strerror if isinstance(error, OSError) else None
        return TargetError(
            f"cannot write {self._path}: {reason or error}. "
            "Make room or get permission, or choose another OUTPUT"
        )
