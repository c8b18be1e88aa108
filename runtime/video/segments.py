"""Stores encoded segments of a result, from which a killed run resumes.

A segment file has one line of JSON with time stamps and packet sizes, followed by the packets.
Containers would not do, because MP4 and Matroska change or drop decoding times.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import TargetError
from runtime.system.files import make_folder, remove_temporaries, write_whole

FOLDER_PREFIX, FOLDER_SUFFIX = ".dggn-", ".segments"
_FINGERPRINT = "made-with"


@dataclass(frozen=True, kw_only=True)
class Packet:
    """An encoded frame."""

    frame: int
    """Frame number within the segment, in presentation order."""
    is_key: bool
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Frames that were encoded, and can be decoded, independently of others."""

    stamps: Sequence[int]
    """Presentation time stamps in ticks of the video's time base, rising."""
    last_duration: int
    """Duration of the last frame."""
    packets: Sequence[Packet]
    """One packet per frame, in decoding order."""

    @property
    def order(self) -> list[int]:
        """Frame numbers in packet order."""
        return [packet.frame for packet in self.packets]

    def as_bytes(self) -> bytes:
        """Return the content of the segment file."""
        payload = b"".join(packet.data for packet in self.packets)
        header = {
            "stamps": list(self.stamps),
            "last_duration": self.last_duration,
            "packets": [[one.frame, int(one.is_key), len(one.data)] for one in self.packets],
            "sha256": hashlib.sha256(payload).hexdigest(),
        }
        return json.dumps(header).encode() + b"\n" + payload

    @classmethod
    def from_bytes(cls, content: bytes) -> Segment:
        """Parse the content of a segment file.

        Raises:
            ValueError: it is damaged.
        """
        line, _, payload = content.partition(b"\n")
        header = json.loads(line)
        if hashlib.sha256(payload).hexdigest() != header["sha256"]:
            raise ValueError("the checksum of the packets does not match")
        packets, begin = [], 0
        for frame, is_key, size in header["packets"]:
            data = payload[begin : begin + size]
            packets.append(Packet(frame=frame, is_key=bool(is_key), data=data))
            begin += size
        return cls(stamps=header["stamps"], last_duration=header["last_duration"], packets=packets)


class SegmentStore:
    """Segments of one result, in a hidden folder beside it.

    Args:
        target: path of the result.
        fingerprint: fingerprint of the source and of everything that affects the result.
        read_only: do not create or remove anything.

    Raises:
        TargetError: the folder cannot be written.
    """

    def __init__(self, target: Path, fingerprint: str, *, read_only: bool = False) -> None:
        name = hashlib.sha256(target.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._folder = target.with_name(f"{FOLDER_PREFIX}{name}{FOLDER_SUFFIX}")
        self._target = target
        is_current = self._made_with() == fingerprint
        self.count = len(self._whole()) if is_current else 0
        """Number of consecutive usable segments, from the first one."""
        if read_only:
            return
        if not is_current:
            self.remove()
            make_folder(self._folder)
            write_whole(self._folder / _FINGERPRINT, fingerprint.encode())
        remove_temporaries([self._folder])

    def add(self, segment: Segment) -> None:
        """Store the next segment.

        Raises:
            TargetError: it cannot be written; nothing of it is left.
        """
        write_whole(self._path(self.count), segment.as_bytes())
        self.count += 1

    def __iter__(self) -> Iterator[Segment]:
        for number in range(self.count):
            yield Segment.from_bytes(self._path(number).read_bytes())

    def heads(self) -> Iterator[Segment]:
        """Yield each segment without the content of its packets."""
        for number in range(self.count):
            with self._path(number).open("rb") as file:
                yield _without_data(json.loads(file.readline()))

    @property
    def frames(self) -> int:
        """Number of frames in all segments."""
        return sum(len(head.stamps) for head in self.heads())

    @property
    def end(self) -> int:
        """End of the last frame in ticks of the video's time base; 0 if there is none."""
        return max((head.stamps[-1] + head.last_duration for head in self.heads()), default=0)

    def remove(self) -> None:
        """Remove all segments.

        Raises:
            TargetError: they cannot be removed.
        """
        try:
            shutil.rmtree(self._folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            reason = error.strerror or error
            raise TargetError(
                f"cannot remove {self._folder}: {reason}. Remove it, or choose another OUTPUT"
            ) from error

    def _whole(self) -> list[Path]:
        """Return the usable files; those after a damaged one are made again."""
        paths: list[Path] = []
        while (path := self._path(len(paths))).exists():
            try:
                Segment.from_bytes(path.read_bytes())
            except (OSError, ValueError, KeyError, TypeError):
                break
            paths.append(path)
        return paths

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.segment"

    def _made_with(self) -> str:
        try:
            return (self._folder / _FINGERPRINT).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""


def _without_data(header: dict[str, Any]) -> Segment:
    packets = [
        Packet(frame=frame, is_key=bool(is_key), data=b"") for frame, is_key, _ in header["packets"]
    ]
    return Segment(stamps=header["stamps"], last_duration=header["last_duration"], packets=packets)
