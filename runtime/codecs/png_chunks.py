"""The chunks of a PNG file: checks them, and drops damaged optional ones.

Pillow refuses a file for a wrong checksum in a comment, and for texts above 1 MiB. Here damage
costs what is damaged: the picture where it is the picture's, else the block.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from runtime.errors import ImageReadError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNK_BYTES = 1 << 26
"""Maximum size of a chunk other than samples."""

MAX_TEXT_BYTES = 1 << 24
"""Maximum size of one text or profile, decompressed; set in Pillow too."""

MAX_TEXTS_BYTES = 3 << 24
"""Maximum size of all texts, below Pillow's own limit of 64 MiB."""

SAMPLES = (b"IDAT", b"fdAT")
_PICTURE = (b"acTL", b"fcTL", b"fdAT")
"""Chunks that are optional by name but part of the picture."""

_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"cICP": 4, b"tIME": 7}
_TRANSPARENT = {0: (2,), 2: (6,), 3: range(1, 257)}
"""Lengths of tRNS by colour type."""

_COMPRESSED = (b"zTXt", b"iCCP", b"iTXt")
_TEXTS = (b"tEXt", *_COMPRESSED)


@dataclass(frozen=True)
class Chunk:
    """One chunk."""

    name: bytes
    content: bytes
    """Data; empty for samples that were not requested."""
    start: int
    """Offset of the whole chunk in the file."""
    stop: int


@dataclass(kw_only=True)
class Chunks:
    """The usable chunks of a file."""

    kept: list[Chunk] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Notes on dropped chunks."""

    def of(self, name: bytes) -> list[bytes]:
        """Return the data of all chunks of a name."""
        return [chunk.content for chunk in self.kept if chunk.name == name]


def chunk_bytes(name: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    check = struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
    return struct.pack(">I", len(content)) + name + content + check


def without_damaged_chunks(data: bytes) -> tuple[bytes, Chunks]:
    """Return a PNG file without its damaged optional chunks.

    Returns:
        The file, the argument itself where all is sound, and its blocks but for the samples.

    Raises:
        ImageReadError: its samples or what they depend on are damaged.
    """
    chunks = chunks_of(io.BytesIO(data), check_samples=True)
    if not chunks.notes:
        return data, chunks
    parts = (
        data[chunk.start : chunk.stop] or chunk_bytes(chunk.name, b"") for chunk in chunks.kept
    )
    return b"".join((SIGNATURE, *parts)), chunks


def chunks_of(file: IO[bytes], *, check_samples: bool = False) -> Chunks:
    """Read a file's chunks, except its samples.

    Args:
        file: at any place.
        check_samples: verify checksums of samples.

    Raises:
        ImageReadError: what the picture depends on is damaged.
    """
    chunks = Chunks()
    texts = 0
    for chunk, is_sound in walk_chunks(file, check_samples=check_samples):
        if chunk.name == b"CgBI":
            raise ImageReadError(
                "is a PNG as Apple's tools pack it into apps (CgBI), which only they can read: "
                "convert it back, for example with pngcrush -revert-iphone-optimizations"
            )
        if chunk.name == b"IEND" and not is_sound:
            chunks.notes.append("its end is cut off or damaged")
            chunks.kept.append(Chunk(chunk.name, b"", chunk.stop, chunk.stop))
            continue
        needed = not chunk.name[0] & 0x20 or chunk.name in _PICTURE
        if needed and not is_sound:
            raise ImageReadError("is damaged (a checksum is wrong): copy or export it again")
        fault = "" if is_sound else "its checksum is wrong"
        if not needed and not fault:
            fault, size = _fault(chunk, chunks.of(b"IHDR"))
            texts += size
            if not fault and texts > MAX_TEXTS_BYTES:
                fault = f"all texts together have more than {MAX_TEXTS_BYTES >> 20} MiB"
        if fault:
            chunks.notes.append(f"dropped: the chunk {_title(chunk)}: {fault}")
        else:
            chunks.kept.append(chunk)
    return chunks


def walk_chunks(file: IO[bytes], *, check_samples: bool = False) -> Iterator[tuple[Chunk, bool]]:
    """Yield chunks up to the last, and whether their checksums are right.

    A file that is cut off behind its samples gets a last one, which is not.

    Args:
        file: at any place.
        check_samples: verify checksums of samples.

    Raises:
        ImageReadError: the file ends in its samples or before, or a block cannot be one.
    """
    size = file.seek(0, io.SEEK_END)
    start, name, has_samples = len(SIGNATURE), b"", False
    file.seek(start)
    while name != b"IEND":
        begin = file.read(8)
        length, name = struct.unpack(">I4s", begin.ljust(8, b"\0"))
        stop = start + 12 + length
        if start + 8 > size or stop > size:
            if not has_samples or name in SAMPLES:
                raise ImageReadError("is damaged (it is cut off): copy or export it again")
            yield Chunk(b"IEND", b"", size, size), False
            return
        if not name.isalpha():
            raise ImageReadError("is damaged (a block has no name): copy or export it again")
        has_samples |= name in SAMPLES
        if name in SAMPLES and not check_samples:
            file.seek(stop)
            yield Chunk(name, b"", start, stop), True
        else:
            if name not in SAMPLES and length > MAX_CHUNK_BYTES:
                raise ImageReadError("is damaged (a block is too long): export it again")
            content = file.read(length)
            check = file.read(4)
            is_sound = check == struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
            yield Chunk(name, b"" if name in SAMPLES else content, start, stop), is_sound
        start = stop


def _fault(chunk: Chunk, header: list[bytes]) -> tuple[str, int]:
    """Find faults in a chunk whose checksum is right; also return its length of text in bytes."""
    length = len(chunk.content)
    if chunk.name in _LENGTHS and length != _LENGTHS[chunk.name]:
        return "its length is wrong", 0
    if chunk.name == b"tRNS" and header and length not in _TRANSPARENT.get(header[0][9], ()):
        return "its length is wrong", 0
    if chunk.name not in _TEXTS:
        return "", 0
    if b"\0" not in chunk.content:
        return "it is damaged", 0
    if chunk.name == b"tEXt":
        return "", length
    packed = _packed(chunk)
    if packed is None:
        return "", length
    inflater = zlib.decompressobj()
    try:
        size = len(inflater.decompress(packed, MAX_TEXT_BYTES))
    except zlib.error:
        return "it is damaged", 0
    if inflater.unconsumed_tail:
        return f"it has more than {MAX_TEXT_BYTES >> 20} MiB", 0
    return "", size


def _packed(chunk: Chunk) -> bytes | None:
    """Return the compressed part; None if nothing is compressed."""
    _, _, rest = chunk.content.partition(b"\0")
    if chunk.name != b"iTXt":
        return rest[1:]
    parts = rest[2:].split(b"\0", 2)
    return parts[2] if rest[:1] == b"\1" and len(parts) == 3 else None


def _title(chunk: Chunk) -> str:
    name = chunk.name.decode("ascii", "replace")
    key = chunk.content.partition(b"\0")[0][:79] if chunk.name in _TEXTS else b""
    return f"{name} ({key.decode('latin-1')})" if key.isascii() and key else name
