"""Cargo in pieces: what a machine without a network needs, in files small enough to go over.

The cargo of a step is one tar archive, cut into `NAME-K-of-N`. What compresses well is in it as xz,
which every Python unpacks.
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

PIECE_BYTES = 56_000_000
"""Largest piece."""

COMPRESSED = ".xz"
WINDOW_BYTES = 1 << 29


def pack(cargo: Path, name: str, files: Iterable[tuple[str, Path]]) -> list[Path]:
    """Write the cargo of one step.

    Args:
        cargo: folder of the pieces.
        name: of the step.
        files: name in the archive, and the file or folder.

    Returns:
        The pieces.
    """
    cargo.mkdir(parents=True, exist_ok=True)
    for old in cargo.glob(f"{name}-*-of-*"):
        old.unlink()
    whole = cargo / f"{name}.tar"
    with tarfile.open(whole, "w") as archive:
        for inside, path in files:
            archive.add(path, inside)
    count = max(1, -(-whole.stat().st_size // PIECE_BYTES))
    pieces = [cargo / f"{name}-{number}-of-{count}" for number in range(1, count + 1)]
    with whole.open("rb") as source:
        for piece in pieces:
            piece.write_bytes(source.read(PIECE_BYTES))
    whole.unlink()
    return pieces


def unpack(cargo: Path, name: str, target: Path) -> None:
    """Unpack the cargo of one step.

    Raises:
        FileNotFoundError: a piece is missing; the message names it.
    """
    with tarfile.open(fileobj=_Joined(_pieces(cargo, name)), mode="r|", bufsize=1 << 20) as archive:
        archive.extractall(target, filter="data")


def _pieces(cargo: Path, name: str) -> list[Path]:
    found = sorted(cargo.glob(f"{name}-*-of-*"))
    if not found:
        raise FileNotFoundError(f"there is no cargo {name} in {cargo}: run `prepare`")
    count = int(found[0].name.rpartition("-")[2])
    pieces = [cargo / f"{name}-{number}-of-{count}" for number in range(1, count + 1)]
    for piece in pieces:
        if not piece.exists():
            raise FileNotFoundError(f"{piece} is missing: bring it over")
    return pieces


def archived(folder: Path) -> Path:
    """Compress a folder of many files into an archive beside it."""
    return Path(shutil.make_archive(str(folder), "xztar", folder.parent, folder.name))


def compress(path: Path) -> None:
    """Replace a file by its compressed form: 6 GB of memory for a large one, and minutes."""
    # Kernels for one card resemble those for another, hundreds of megabytes away.
    window = min(max(path.stat().st_size, 1 << 20), WINDOW_BYTES)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": window}]
    with (
        path.open("rb") as source,
        lzma.open(path.with_name(path.name + COMPRESSED), "wb", filters=filters) as sink,
    ):
        shutil.copyfileobj(source, sink, 1 << 20)
    path.unlink()


def decompress(folder: Path) -> None:
    """Decompress archives in a folder and all files below it, several at a time."""
    found = list(folder.rglob(f"*{COMPRESSED}"))
    with ThreadPoolExecutor() as pool:
        list(pool.map(_decompress, found))


def _decompress(path: Path) -> None:
    if path.suffixes[-2:] == [".tar", COMPRESSED]:
        shutil.unpack_archive(path, path.parent, filter="data")
    else:
        with lzma.open(path) as source, path.with_suffix("").open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    path.unlink()


class _Joined(io.RawIOBase, IO[bytes]):
    """Several files as one stream."""

    def __init__(self, paths: list[Path]) -> None:
        self._chunks = self._read_all(paths)
        self._rest = b""

    @staticmethod
    def _read_all(paths: list[Path]) -> Iterator[bytes]:
        for path in paths:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    yield chunk

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        size = len(self._rest) if size < 0 else size
        read, self._rest = self._rest[:size], self._rest[size:]
        return read
