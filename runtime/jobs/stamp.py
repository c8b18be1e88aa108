"""Identifies a version of a source file."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runtime.model.info import file_sha256
from runtime.system.path_text import path_text


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceStamp:
    """Identity of one version of a source file."""

    size_bytes: int
    mtime_ns: int
    sha256: str
    inode: int = 0
    ctime_ns: int = 0
    path: str = ""
    """Path of the file, with links in its folder resolved; empty if an older version did not record
    it.
    """
    etag: str = ""
    """Version of an object in a store; empty for a file."""

    @classmethod
    def unread(cls, path: str) -> SourceStamp:
        """Return a stamp that no version of the source has, for a result that is only begun."""
        return cls(size_bytes=-1, mtime_ns=0, sha256="", path=path)

    @classmethod
    def of(cls, path: Path) -> SourceStamp:
        """Read the stamp of a file.

        Raises:
            OSError: it cannot be read.
        """
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Reading from a pipe or device could take for ever.
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return cls(
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            sha256=file_sha256(path),
            inode=status.st_ino,
            ctime_ns=status.st_ctime_ns,
            path=canonical_path(path),
        )

    def seems_unchanged(self, path: Path) -> bool:
        """Return whether the file was unchanged while it was read, judging by size and time.

        Raises:
            OSError: it is gone.
        """
        status = path.stat()
        return (self.size_bytes, self.mtime_ns) == (status.st_size, status.st_mtime_ns)

    def still_of(self, path: Path) -> bool:
        """Return whether this is the same unchanged file, without reading its content.

        Two files that change places may have one size and time; their inodes differ.

        Raises:
            OSError: it is gone.
        """
        status = path.stat()
        found = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
        kept = (self.size_bytes, self.mtime_ns, self.inode, self.ctime_ns)
        return found == kept and self.path == canonical_path(path)


def canonical_path(path: Path) -> str:
    """Return a file's canonical path as `path_text`, whatever path it was named by.

    A link counts as itself.
    """
    return path_text(Path(_resolved(path.parent.absolute()), path.name))


@lru_cache(maxsize=256)
def _resolved(folder: Path) -> str:
    return os.path.realpath(folder)
