"""Files that appear when they are complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from runtime.errors import TargetError

if sys.platform != "win32":
    import fcntl

TEMPORARY_PREFIX = ".dggn-"
TEMPORARY_SUFFIX = ".partial"
"""What unfinished files are called, so that a later run can remove them."""

_being_written: set[Path] = set()


def temporary_path(target: Path) -> Path:
    """Where a target is written until it is complete; another name each time."""
    # Without the target's name, which may be as long as names can be already.
    name = f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
    return target.with_name(name)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the target's place when the block ends well; else it is removed.

    It is locked while it is written, so that other runs can tell it from a leftover.

    Args:
        target: in a folder that exists; what is there stays as it was until then.

    Raises:
        NotReplaced: the file is complete, but the target's name cannot be taken.
        OSError: it cannot be written.
    """
    temporary = temporary_path(target)
    _being_written.add(temporary)
    try:
        with temporary.open("xb") as file:
            _try_to_lock(file)
            yield file
        try:
            os.replace(temporary, target)
        except OSError as error:
            raise NotReplaced(error.strerror or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        _being_written.discard(temporary)


class NotReplaced(Exception):
    """A file was written, but cannot be put in its place; says why."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename; its folder is made if missing.

    What was at `path` before stays until the new content is complete.

    Raises:
        TargetError: it cannot be written; nothing of it is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except (OSError, NotReplaced) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise TargetError(f"{path} cannot be written: {reason or error}") from error


def is_leftover(temporary: Path) -> bool:
    """Whether nobody writes an unfinished file any more; where locks are unknown, always.

    Raises:
        OSError: it cannot be opened.
    """
    with temporary.open("rb") as file:
        return _try_to_lock(file)


def remove_unfinished() -> None:
    """Remove what this process is writing, which must come to its end now."""
    for path in list(_being_written):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _try_to_lock(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open; False where another has locked it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # some network disks know no locks
    return True
