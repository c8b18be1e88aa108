"""Encoded parts of a result, kept until all are there: what a killed run goes on from.

A segment is a file of its own: a line of JSON with the frames' time stamps and the packets' sizes,
then the packets. No container does: MP4 and Matroska change or drop times of decoding.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.system.files import make_folder, remove_temporaries, write_whole

FOLDER_PREFIX, FOLDER_SUFFIX = ".dggn-", ".segments"
_FINGERPRINT = "made-with"


@dataclass(frozen=True, kw_only=True)
class Packet:
    """An encoded frame."""

    frame: int
    """Its number within the segment, in the order frames are shown."""
    is_key: bool
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Frames that were encoded by themselves, and can be decoded so."""

    stamps: Sequence[int]
    """When each frame is shown, in ticks of the clip's time base, rising."""
    last_duration: int
    """How long the last one is shown."""
    packets: Sequence[Packet]
    """In the order of decoding; as many as frames."""

    @property
    def order(self) -> list[int]:
        """Numbers of frames in the order of their packets."""
        return [packet.frame for packet in self.packets]

    def as_bytes(self) -> bytes:
        """The content of its file."""
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
        """Read the content of a file.

        Raises:
            ValueError: it is not as it was written.
        """
        line, _, payload = content.partition(b"\n")
        header = json.loads(line)
        if hashlib.sha256(payload).hexdigest() != header["sha256"]:
            raise ValueError("the packets have changed")
        packets, begin = [], 0
        for frame, is_key, size in header["packets"]:
            data = payload[begin : begin + size]
            packets.append(Packet(frame=frame, is_key=bool(is_key), data=data))
            begin += size
        return cls(stamps=header["stamps"], last_duration=header["last_duration"], packets=packets)


class SegmentStore:
    """The segments of one result, in a hidden folder beside it.

    Args:
        target: the result.
        fingerprint: of the source and of all that decides what becomes of it.
        read_only: only look what there is.

    Raises:
        TargetError: the folder cannot be written.
    """

    def __init__(self, target: Path, fingerprint: str, *, read_only: bool = False) -> None:
        name = hashlib.sha256(target.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._folder = target.with_name(f"{FOLDER_PREFIX}{name}{FOLDER_SUFFIX}")
        self._target = target
        is_current = self._made_with() == fingerprint
        self.count = len(self._whole()) if is_current else 0
        """How many segments there are, from the first one on without a gap."""
        if read_only:
            return
        if not is_current:
            self.remove()
            make_folder(self._folder)
            write_whole(self._folder / _FINGERPRINT, fingerprint.encode())
        remove_temporaries([self._folder])

    def add(self, segment: Segment) -> None:
        """Keep one more segment.

        Raises:
            TargetError: it cannot be written; nothing of it is left.
        """
        write_whole(self._path(self.count), segment.as_bytes())
        self.count += 1

    def __iter__(self) -> Iterator[Segment]:
        for number in range(self.count):
            yield Segment.from_bytes(self._path(number).read_bytes())

    def heads(self) -> Iterator[Segment]:
        """Each segment without the content of its packets."""
        for number in range(self.count):
            with self._path(number).open("rb") as file:
                yield _without_data(json.loads(file.readline()))

    @property
    def frames(self) -> int:
        """How many frames there are in all segments."""
        return sum(len(head.stamps) for head in self.heads())

    @property
    def end(self) -> int:
        """When the last frame ends, in ticks of the clip's time base; 0 where there is none."""
        return max((head.stamps[-1] + head.last_duration for head in self.heads()), default=0)

    def remove(self) -> None:
        """Remove all of it."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder)

    def _whole(self) -> list[Path]:
        """Those that can be used; whatever comes after a damaged one is made again."""
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
