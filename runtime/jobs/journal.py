"""The journal that lets a later run resume: a hidden file in the output folder.

Append-only JSON lines, so that a killed run loses at most its last line. Each line is about one
result: from which source and with which settings it was made, and how large it came out. A line
without an output size says that the result was begun: if the file exists, it is ours, but it
may have been made from an earlier source.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from runtime.errors import TargetError
from runtime.jobs.plan import Job
from runtime.jobs.stamp import SourceStamp, canonical_path
from runtime.system.files import NotReplaced, replacing, try_to_lock
from runtime.video.formats import is_clip

POLL_S = 0.1
"""Polling interval while another run uses the folder."""

JOURNAL_NAME = ".dggn-run.jsonl"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The record of one result."""

    source: SourceStamp
    settings: str
    """Fingerprint of model and settings."""
    output_bytes: int | None
    """Size of the result; None until it is complete."""


def settings_fingerprint(settings: Mapping[str, Any]) -> str:
    """Return a short text that differs whenever a setting does."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


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

    Questions are answered from what it said when it was opened, so that its memory does not
    grow with a run. The methods may be called from any thread.

    Args:
        folder: the output folder, which must exist.
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
        read_only: bool = False,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        self._wait = wait
        self._folder = folder
        self._path = folder / JOURNAL_NAME
        self._guard = threading.Lock()
        self._read_only = read_only
        try:
            if read_only:
                self._file: IO[str] = Path(os.devnull).open("a", encoding="utf-8")  # noqa: SIM115
                self._entries = self._read() if self._path.exists() else {}
                return
            self._file = self._open()
            try:
                self._entries = self._read()
                self._compact()
            except BaseException:
                self._file.close()
                raise
        except (OSError, NotReplaced) as error:
            raise self._unwritable(error) from error

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
        if entry is None or entry.source.path in ("", canonical_path(job.source)):
            return ""
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

    def finish(self, job: Job, source: SourceStamp, fingerprint: str) -> None:
        """Record that the target is complete.

        Raises:
            TargetError: the journal cannot be written, or the target is gone.
        """
        try:
            size = job.target.stat().st_size
        except OSError as error:
            raise TargetError(
                f"{job.target} vanished after it was written: {error.strerror}"
            ) from error
        self._record(job, Entry(source=source, settings=fingerprint, output_bytes=size))

    def close(self) -> None:
        """Release the lock."""
        # What a full disk refused before is tried again here, and would hide the first error.
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _key(self, job: Job) -> str:
        return job.target.relative_to(self._folder).as_posix()

    def _record(self, job: Job, entry: Entry) -> None:
        key = self._key(job)
        with self._guard:
            try:
                self._file.write(_line(key, entry))
                self._file.flush()
            except OSError as error:
                raise self._unwritable(error) from error

    def _open(self) -> IO[str]:
        while True:
            file = self._path.open("a", encoding="utf-8")
            if not try_to_lock(file):
                file.close()
                if self._wait is not None:
                    self._wait(POLL_S)
                    continue
                raise TargetError(
                    f"another dggn-run is writing to {self._folder}: wait until it ends, or "
                    "choose another OUTPUT"
                )
            # The other run may have replaced the file between opening and locking.
            try:
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            except FileNotFoundError:
                pass
            file.close()

    def _read(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        lost = 0
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    key, entry = _parse(line)
                except (ValueError, TypeError, KeyError, RecursionError):
                    # The torn last line of a killed run; its picture is done again.
                    lost += 1
                    continue
                entries[key] = entry
        if lost > 1:
            _logger.warning("%s: %d damaged lines ignored", self._path, lost)
        return entries

    def _compact(self) -> None:
        """Drop outdated lines, those of deleted results, and a truncated one."""
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if os.path.lexists(self._folder / key)
        }
        with replacing(self._path) as file:
            file.writelines(_line(key, entry).encode() for key, entry in self._entries.items())
            if sys.platform == "win32":
                self._file.close()  # Windows replaces no open file, and there is no lock to keep.
        old = self._file
        self._file = self._open()
        old.close()

    def _unwritable(self, error: OSError | NotReplaced) -> TargetError:
        reason = error.strerror if isinstance(error, OSError) else None
        return TargetError(
            f"cannot write {self._path}: {reason or error}. Make room, or choose another OUTPUT"
        )


def _line(key: str, entry: Entry) -> str:
    return json.dumps({"output": key, **asdict(entry)}) + "\n"


def _parse(line: str) -> tuple[str, Entry]:
    fields = json.loads(line)
    source = fields["source"]
    size = fields["output_bytes"]
    return str(fields["output"]), Entry(
        source=SourceStamp(
            size_bytes=int(source["size_bytes"]),
            mtime_ns=int(source["mtime_ns"]),
            sha256=str(source["sha256"]),
            inode=int(source.get("inode", 0)),
            ctime_ns=int(source.get("ctime_ns", 0)),
            path=str(source.get("path", "")),
        ),
        settings=str(fields["settings"]),
        output_bytes=None if size is None else int(size),
    )
