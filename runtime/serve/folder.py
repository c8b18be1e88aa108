"""A private folder for uploads and results, which goes with the server that made it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from runtime.errors import TargetError
from runtime.system.cache import user_cache
from runtime.system.files import locked, make_folder, try_to_lock

PREFIX = "dggn-serve-"
_LOCK = "in-use"


class PrivateFolder:
    """A folder that only this user can read, below the system's folder for temporary files.

    It is locked while the server runs. Making one removes those that crashed servers left.

    Raises:
        TargetError: it cannot be made.
    """

    def __init__(self) -> None:
        make_folder(user_cache())
        try:
            # So that no other server takes a folder for a leftover before it is locked.
            with locked(user_cache() / "serve.lock"):
                remove_leftovers(Path(tempfile.gettempdir()))
                self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
                self._lock = (self.path / _LOCK).open("xb")
                try_to_lock(self._lock)
        except OSError as error:
            raise TargetError(
                f"cannot make a folder for uploads: {error}. Make room, or name another place "
                "with the environment variable TMPDIR"
            ) from error

    @contextlib.contextmanager
    def room(self) -> Iterator[Path]:
        """A folder for one request, gone at the end of the block."""
        path = self.path / secrets.token_hex(8)
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the private folders of servers that are gone; those of other users stay."""
    for path in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_ours(path) and _is_left(path / _LOCK):
                shutil.rmtree(path)


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def _is_left(lock: Path) -> bool:
    """Whether nobody holds the lock.

    Raises:
        OSError: someone does, on Windows, which removes no open file.
    """
    if os.name == "nt":
        lock.unlink(missing_ok=True)
        return True
    try:
        with lock.open("rb") as file:
            return try_to_lock(file)
    except FileNotFoundError:  # it crashed before it was locked, or while it was removed
        return True
