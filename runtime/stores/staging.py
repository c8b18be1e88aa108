"""A folder for downloads and uploads."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import IO

from runtime.errors import TargetError
from runtime.system.files import take_lock

PREFIX = "dggn-staging-"
LOCK_NAME = "lock"


class Staging:
    """A folder among the system's temporary files; a context manager that removes it.

    What killed runs left there is removed too, where locks tell that nobody uses it.

    Raises:
        TargetError: it cannot be made.
    """

    def __init__(self) -> None:
        try:
            _remove_leftovers()
            self._folder, self._lock = _locked_folder()
            for name in ("in", "out"):
                (self._folder / name).mkdir()
        except OSError as error:
            raise TargetError(
                f"cannot make a folder for what is fetched: {error.strerror or error}. Set TMPDIR "
                "to one with room"
            ) from error

    @property
    def sources(self) -> Path:
        """Folder for downloads."""
        return self._folder / "in"

    @property
    def results(self) -> Path:
        """Folder for uploads."""
        return self._folder / "out"

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
        self._lock.close()

    def remove(self) -> None:
        """Remove the folder; from any thread, too, before the process ends."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _locked_folder() -> tuple[Path, IO[bytes]]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = (folder / LOCK_NAME).open("wb")
        # Until it is locked, another run may take it for a leftover.
        if take_lock(lock) != "busy" and (folder / LOCK_NAME).exists():
            return folder, lock
        lock.close()


def _remove_leftovers() -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK_NAME}"):
        try:
            with lock.open("r+b") as file:
                if take_lock(file) == "held":
                    shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:
            continue  # another user's, or gone
