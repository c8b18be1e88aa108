"""Cargo in pieces: what a machine without a network needs, in files small enough to go over.

The cargo of a step is one tar archive, cut into `NAME-K-of-N`. Folders of many files are in it as
`.tar.xz`, which every Python unpacks; very large files as `.zst`, which takes seconds, not half an
hour, and needs a package of half a megabyte where the Python there is older than 3.14.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import IO, Any

PIECE_MB = 30
"""Largest piece: it goes over beside a checkout, in calls that take 64 MiB."""

ARCHIVED, COMPRESSED = ".tar.xz", ".zst"
UNPACKER = "backports.zstd"
"""Package that decompresses; part of Python from 3.14 on."""

LEVEL = 9
WINDOW_LOG = 29
"""Kernels for one card resemble those for another, hundreds of megabytes away."""


def pack(
    cargo: Path, name: str, files: Iterable[tuple[str, Path]], *, piece_mb: float = PIECE_MB
) -> list[Path]:
    """Write the cargo of one step.

    Args:
        cargo: folder of the pieces.
        name: of the step.
        files: name in the archive, and the file or folder.
        piece_mb: largest piece, in megabytes.

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
    piece_bytes = int(piece_mb * 1e6)
    count = max(1, -(-whole.stat().st_size // piece_bytes))
    pieces = [cargo / f"{name}-{number}-of-{count}" for number in range(1, count + 1)]
    with whole.open("rb") as source:
        for piece in pieces:
            piece.write_bytes(source.read(piece_bytes))
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
    """Replace a file by its compressed form."""
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: LEVEL,
        parameter.enable_long_distance_matching: 1,
        parameter.window_log: WINDOW_LOG,
    }
    target = path.with_name(path.name + COMPRESSED)
    with path.open("rb") as source, zstd.open(target, "wb", options=options) as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    path.unlink()


def decompress(folder: Path) -> None:
    """Decompress archives in a folder and all files below it, several at a time."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(_unpack_archive, list(folder.rglob(f"*{ARCHIVED}"))))
        list(pool.map(_decompress, list(folder.rglob(f"*{COMPRESSED}"))))


def _unpack_archive(path: Path) -> None:
    shutil.unpack_archive(path, path.parent, filter="data")
    path.unlink()


def _decompress(path: Path) -> None:
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
    with zstd.open(path, options=options) as source, path.with_suffix("").open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    path.unlink()


def _zstd() -> Any:
    try:
        return import_module("compression.zstd")
    except ImportError:
        pass
    try:
        return import_module(UNPACKER)
    except ImportError as error:
        raise SystemExit(f"this needs {UNPACKER}: pip install {UNPACKER}") from error


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
