"""The journals of an output folder, one of whole runs and one of each shard, and their locks.

Whole runs hold the lock of their journal alone, shards share it and hold that of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO

from runtime.errors import TargetError
from runtime.jobs.shard import Shard
from runtime.system.files import LockState, take_lock

POLL_S = 0.1
"""Polling interval while another run uses the folder."""

JOURNAL_NAME = ".dggn-run.jsonl"
_OF_A_SHARD = re.compile(r"\.dggn-run\.(\d+)-of-(\d+)\.jsonl")


def journal_name(shard: Shard | None) -> str:
    """Return the name of a shard's journal, or of a whole run's."""
    return JOURNAL_NAME if shard is None else f".dggn-run.{shard.index}-of-{shard.count}.jsonl"


def shard_journals(folder: Path) -> dict[Shard, Path]:
    """Return the journals of shards, of any count, that are in a folder.

    Raises:
        OSError: it cannot be listed.
    """
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:  # a dry run makes no folder
        return {}
    matches = ((_OF_A_SHARD.fullmatch(path.name), path) for path in paths)
    return {Shard(int(match[1]), int(match[2])): path for match, path in matches if match}


def open_journal(
    path: Path,
    *,
    busy: str,
    shared: bool = False,
    wait: Callable[[float], None] | None = None,
) -> tuple[IO[str], LockState]:
    """Open a journal for appending and lock it.

    Args:
        path: of the journal, which is made if it is missing.
        busy: what to say where another run has locked it.
        shared: share the lock with other runs.
        wait: waits so many seconds while another run holds the lock, and may raise to give up;
            None not to wait.

    Raises:
        TargetError: another run has locked it.
        OSError: it cannot be written.
    """
    while True:
        file = path.open("a+", encoding="utf-8")
        state = take_lock(file, shared=shared)
        if state == "busy":
            file.close()
            if wait is None:
                raise TargetError(busy)
            wait(POLL_S)
            continue
        # The other run may have replaced the file between opening and locking.
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file, state
        except FileNotFoundError:
            pass
        file.close()


def refuse_other_counts(folder: Path, shard: Shard) -> None:
    """Refuse to run beside shards of another count, which hold some of the same pictures.

    Raises:
        TargetError: one is running.
        OSError: a journal cannot be opened.
    """
    for other, path in shard_journals(folder).items():
        if other.count == shard.count:
            continue
        with path.open("a+") as file:
            if take_lock(file, shared=True) == "busy":
                raise TargetError(
                    f"shard {other} is being written to {folder}, and shard {shard} holds some of "
                    "the same pictures: use one count, or wait until it ends"
                )
