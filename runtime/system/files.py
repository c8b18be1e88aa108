"""Atomic files, which appear only when complete, and their folders."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from runtime.errors import TargetError

if sys.platform != "win32":
    import fcntl

TEMPORARY_PREFIX = ".dggn-"
TEMPORARY_SUFFIX = ".partial"
"""Suffix of unfinished files, by which a later run can remove them."""

ATTEMPTS = 10
"""Attempts to create an unfinished file before another run removes it."""

_being_written: set[Path] = set()
_logger = logging.getLogger(__name__)


def temporary_path(target: Path) -> Path:
    """Return a new name for writing a target until it is complete."""
    name = f"{temporaries_of(target)}{os.getpid()}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
    return target.with_name(name)


def temporaries_of(target: Path) -> str:
    """Return how the names of all temporary files of one target begin."""
    # Not the target's name itself, which may be as long as names can be already.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    return f"{TEMPORARY_PREFIX}{digest}-"


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """Open a new file that replaces the target when the block succeeds, and is removed otherwise.

    It is locked while it is written, so that other runs can tell it from a leftover.

    Args:
        target: path in an existing folder; an existing file stays unchanged until then.

    Raises:
        NotReplaced: the file is complete, but the target's name cannot be taken.
        OSError: it cannot be written.
    """
    temporary, file = _create_locked(target)
    try:
        # The lock outlasts the file, which is closed first: network disks tell of errors then.
        with _lock_held(file):
            with file:
                yield file
            try:
                os.replace(temporary, target)
            except OSError as error:
                raise NotReplaced(error.strerror or str(error)) from error
    finally:
        _forget(temporary)


def _create_locked(target: Path) -> tuple[Path, IO[bytes]]:
    """Create a temporary file and lock it.

    Between the two, another run may take it for a leftover: then the next name is tried. That is
    not repeated for ever, because a disk may show a file late, or not under its name.
    """
    for attempt in range(ATTEMPTS):
        temporary = temporary_path(target)
        _being_written.add(temporary)
        try:
            file = temporary.open("xb")
        except BaseException:
            _forget(temporary)
            raise
        if (try_to_lock(file) and temporary.exists()) or attempt == ATTEMPTS - 1:
            break
        file.close()
        _being_written.discard(temporary)
    return temporary, file


def _forget(temporary: Path) -> None:
    """Remove an unfinished file, if it is there."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
    _being_written.discard(temporary)


@contextlib.contextmanager
def _lock_held(file: IO[bytes]) -> Iterator[None]:
    """Keep a file's lock even after the file is closed."""
    if sys.platform == "win32":
        yield  # where nothing is locked
        return
    duplicate = os.dup(file.fileno())
    try:
        yield
    finally:
        os.close(duplicate)


class NotReplaced(Exception):
    """Raised when a file was written but cannot be moved into place."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open like :func:`replacing`, but create the folder if missing, and raise errors of ours.

    Args:
        path: the file; an existing one stays until the block has succeeded.

    Raises:
        TargetError: it cannot be written; nothing of it is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            yield file
    except (OSError, NotReplaced) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise TargetError(f"{path} cannot be written: {reason or error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically; its folder is created if missing.

    What was at `path` before stays until the new content is complete.

    Raises:
        TargetError: it cannot be written; nothing of it is left.
    """
    with whole_file(path) as file:
        file.write(content)


def remove_unfinished() -> None:
    """Remove the unfinished files of this process, which must exit now."""
    for path in list(_being_written):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


LockState = Literal["held", "busy", "unknown"]
"""`busy`: another has locked it; `unknown`: nothing can be locked, as on Windows."""


def take_lock(file: IO[Any], *, shared: bool = False) -> LockState:
    """Lock a file for as long as it is open, without waiting.

    Args:
        file: open for writing, and for reading too where the lock is shared: NFS wants that.
        shared: let others share the lock; nobody can hold it alone meanwhile.
    """
    if sys.platform == "win32":
        return "unknown"
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return "busy"
    except OSError:  # some network disks know no locks
        return "unknown"
    return "held"


def try_to_lock(file: IO[Any]) -> bool:
    """Try to lock a file for as long as it is open.

    Returns:
        False where another has locked it; true where nothing can be locked.
    """
    return take_lock(file) != "busy"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, created if missing; wait while others hold it.

    On Windows, and on disks that know no locks, nothing is locked.

    Raises:
        OSError: the file cannot be made.
    """
    with path.open("ab") as file:
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def name_problem(target: Path) -> str:
    """Explain why a file cannot have this name; empty if it can. Creates nothing.

    Args:
        target: path in a folder that may not exist yet.
    """
    folder = target.parent
    while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112 - raises nothing
        folder = folder.parent
    longest = _limit(folder, "PC_NAME_MAX", 255)
    for name in target.parts[len(folder.parts) :]:
        if (length := _length(name)) > longest:
            return f"the name {name[:40]}... has {length} bytes, and this disk allows {longest}"
    longest = _limit(folder, "PC_PATH_MAX", 4096) - 1
    # It is written under another name first, which may be longer.
    paths = (target.absolute(), temporary_path(target.absolute()))
    if (length := max(_length(str(path)) for path in paths)) > longest:
        return f"the path of the result has {length} bytes, and this system allows {longest}"
    return ""


def _length(text: str) -> int:
    """Return a name's length as the system counts it: UTF-16 on Windows, otherwise bytes."""
    return (
        len(text.encode("utf-16-le", "surrogatepass")) // 2
        if os.name == "nt"
        else len(os.fsencode(text))
    )


def _limit(folder: Path, name: str, usual: int) -> int:
    try:
        return os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):  # Windows, or a disk that does not say
        return usual


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if missing.

    Raises:
        TargetError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = next(
            (path for path in (folder, *folder.parents) if path.is_file() or path.is_symlink()),
            folder,
        )
        raise TargetError(
            f"cannot make the output folder {folder}: {in_the_way} is not a folder. "
            "Choose another OUTPUT, or move it away"
        ) from error
    except OSError as error:
        raise TargetError(
            f"cannot make the output folder {folder}: {error.strerror or error}. "
            "Choose another OUTPUT"
        ) from error


def remove_temporaries(folders: Iterable[Path], *, of: Collection[Path] | None = None) -> None:
    """Remove unfinished files of killed runs, but not of running ones.

    Args:
        folders: where to look.
        of: the targets that only this run writes. Where nothing can be locked, other leftovers
            are kept, for they may be another run's work. None for a run that has the folders for
            itself.
    """
    own = None if of is None else {(target.parent, temporaries_of(target)) for target in of}
    for folder in folders:
        for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            start = "-".join(path.name.split("-")[:2]) + "-"
            try:
                if _is_leftover(path, is_own=own is None or (folder, start) in own):
                    path.unlink()
            except FileNotFoundError:
                pass  # complete, or removed by another run
            except OSError as error:
                _logger.warning("cannot remove the leftover %s: %s", path, error)


def _is_leftover(temporary: Path, *, is_own: bool) -> bool:
    """Return whether nobody writes an unfinished file any more.

    Raises:
        OSError: it cannot be opened.
    """
    # NFS locks nothing that is open for reading only.
    mode = "r+b" if os.access(temporary, os.W_OK) else "rb"
    with temporary.open(mode) as file:
        state = take_lock(file)
    return state == "held" or (state == "unknown" and is_own)
