"""Writes a result: the encoded segments, and everything else copied from the source."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.video.encoding import Encoding, configure
from runtime.video.facts import Clip, open_clip, video_stream
from runtime.video.formats import MUXERS
from runtime.video.library import fraction, integer, pyav, reading, writing
from runtime.video.segments import SegmentStore
from runtime.video.stamps import decoding_stamps, reordering

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_OF_THE_OLD_FILE = frozenset({"compatible_brands", "encoder", "major_brand", "minor_version"})
"""Metadata that describes the source's container."""

_STATISTICS = ("BPS", "DURATION", "NUMBER_OF", "_STATISTICS", "ENCODER")
"""Prefixes of metadata that describe the source's packets."""

_MOST_TIMESCALE = 2**31 - 1
_REMEDY = "Choose another container, for example .mkv"


@dataclass(frozen=True, kw_only=True)
class Muxed:
    """A finished result: the copied streams, and notes on the others."""

    copied: list[int]
    """Indices of the source's streams that were copied, in the result's order."""

    notes: list[str]
    """Notes on streams that the container does not support."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """An encoded frame with its times, in ticks of the video's time base."""

    data: bytes
    is_key: bool
    shown: int
    read: int
    duration: int


def put_together(
    clip: Clip, encoding: Encoding, store: SegmentStore, file: Path, target: Path
) -> Muxed:
    """Write a result.

    Args:
        clip: properties of the source.
        encoding: encoder settings of the segments.
        store: all segments.
        file: file to write, which is replaced.
        target: final path, whose suffix selects the container.

    Raises:
        ImageReadError: the source can no longer be read.
        ImageWriteError: the container cannot be written.
        OSError: the disk is full.
    """
    muxer = MUXERS[target.suffix.lower()]
    old = {"metadata_errors": "surrogateescape"} if _is_old() else {}
    with reading(clip.path.name):
        source = open_clip(clip.path)
    with (
        source,
        writing(target.name, _REMEDY),
        pyav().open(str(file), "w", format=muxer, container_options={}, **old) as result,
    ):
        return _Muxer(clip, encoding, source, result, target).run(store)


def describes_old_file(key: str) -> bool:
    """Return whether metadata of a file describes its container."""
    return key.lower() in _OF_THE_OLD_FILE


def is_statistic(key: str) -> bool:
    """Return whether metadata of a stream describes its packets."""
    return key.upper().startswith(_STATISTICS)


def _is_old() -> bool:
    return int(pyav().__version__.partition(".")[0]) < 19


def is_cover(stream: Stream) -> bool:
    """Return whether a stream is a picture that belongs to the file, such as cover art."""
    return bool(stream.disposition & pyav().stream.Disposition.attached_pic)


def says_nothing(packet: Packet[Stream]) -> bool:
    """Return whether a packet ends a stream, or is an empty subtitle, which MP4 muxers add."""
    if packet.stream.type == "subtitle" and packet.stream.codec_context.name == "mov_text":
        return bytes(packet) in (b"", b"\0\0")
    return packet.dts is None and packet.pts is None and not packet.size


class _Muxer:
    def __init__(
        self,
        clip: Clip,
        encoding: Encoding,
        source: InputContainer,
        result: OutputContainer,
        target: Path,
    ) -> None:
        self._clip = clip
        self._encoding = encoding
        self._source = source
        self._result = result
        self._muxer = MUXERS[target.suffix.lower()]
        self._suffix = target.suffix
        self._is_mov = self._muxer in ("mp4", "mov")
        self._copies: dict[int, Stream] = {}
        self._notes: list[str] = []

    def run(self, store: SegmentStore) -> Muxed:
        main = video_stream(self._source, self._clip.path.name)
        for stream in self._source.streams:
            if stream.index == main.index:
                video = self._add_video(stream)
            else:
                self._add_copy(stream)
        self._describe()
        frames = self._frames(store)
        pending = next(frames, None)
        copied = [self._source.streams[index] for index in self._copies]
        for packet in self._source.demux(copied) if copied else ():
            if says_nothing(packet):
                continue
            time = self._moved(packet)
            while pending and pending.read * self._clip.time_base <= time:
                self._write(video, pending)
                pending = next(frames, None)
            self._copy(packet)
        while pending:
            self._write(video, pending)
            pending = next(frames, None)
        return Muxed(copied=list(self._copies), notes=self._notes)

    def _copy(self, packet: Packet[Stream]) -> None:
        packet.stream = self._copies[packet.stream.index]
        errors = pyav().error
        # A damaged packet must not cost hours of work; `readback` counts the missing ones.
        with contextlib.suppress(errors.InvalidDataError, errors.ArgumentError):
            self._result.mux(packet)

    def _add_video(self, stream: Stream) -> Any:
        encoding = self._encoding
        video: Any = self._result.add_stream(encoding.encoder, rate=encoding.rate)
        video.width, video.height = encoding.size_hw[1], encoding.size_hw[0]
        configure(video.codec_context, encoding)
        video.time_base = self._clip.time_base
        if self._is_mov and video.codec_context.codec.canonical_name == "hevc":
            video.codec_context.codec_tag = "hvc1"  # required by Apple's players
        if self._clip.turn:
            video.set_display_matrix(self._turn(self._clip.turn))
        video.disposition = stream.disposition
        video.metadata.update(
            (key, value)
            for key, value in stream.metadata.items()
            if not is_statistic(key) and key != "alpha_mode"
        )
        return video

    def _turn(self, turn: Sequence[int]) -> list[int]:
        """Scale the translation in a display matrix, which is in pixels."""
        (height, width), (new_height, new_width) = self._clip.size_hw, self._encoding.size_hw
        larger = Fraction(new_width + new_height, width + height)
        moved = [round(turn[place] * larger) for place in (6, 7)]
        return [*turn[:6], *moved, turn[8]]

    def _add_copy(self, stream: Stream) -> None:
        if stream.type in ("data", "unknown"):
            # Chapters of MP4 are a track, too, which players do not show.
            is_chapters = self._source.chapters() and not stream.disposition
            if not ("timecode" in stream.metadata or is_chapters):
                self._notes.append(f"data stream ({stream.name or 'unknown'}) was left out")
            return
        if self._muxer == "matroska" and is_cover(stream):
            self._attach(stream)
            return
        try:
            if stream.type == "attachment" and self._muxer != "matroska":
                raise ValueError
            copy = self._result.add_stream_from_template(stream, opaque=True)
        except ValueError:
            kind, name = stream.type, getattr(stream, "name", None) or "unknown"
            self._notes.append(
                f"its {kind} ({name}) was left out: {self._suffix} does not support it"
            )
            return
        copy.disposition = stream.disposition
        copy.metadata.update(
            (key, value) for key, value in stream.metadata.items() if not describes_old_file(key)
        )
        if stream.type != "attachment":
            self._copies[stream.index] = copy

    def _attach(self, cover: Stream) -> None:
        """Add cover art as an attachment, as Matroska keeps it."""
        with reading(self._clip.path.name), open_clip(self._clip.path) as container:
            packets = container.demux(container.streams[cover.index])
            content = next((bytes(packet) for packet in packets if packet.size), b"")
        kind = "jpeg" if cover.name == "mjpeg" else str(cover.name)
        name = cover.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
        self._result.add_attachment(name, f"image/{kind}", content)

    def _describe(self) -> None:
        source, result = self._source, self._result
        metadata = {k: v for k, v in source.metadata.items() if not describes_old_file(k)}
        result.metadata.update(metadata)
        result.set_chapters(source.chapters())
        # Without random identifiers, so that results are reproducible.
        result.flags |= pyav().container.Flags.bitexact.value
        if self._is_mov:
            # Edit lists are in this unit; FFmpeg's default of milliseconds would shift late starts.
            scale = self._timescale()
            result.container_options["movie_timescale"] = str(scale)
            if any(key.startswith("com.") for key in metadata):
                # Metadata written by phones, which are dropped otherwise.
                result.container_options["movflags"] = "use_metadata_tags"

    def _timescale(self) -> int:
        scale = self._clip.time_base.denominator
        for stream in self._source.streams:
            time_base = fraction(stream.time_base)
            if time_base and stream.index in self._copies:
                joint = math.lcm(scale, time_base.denominator)
                scale = joint if joint <= _MOST_TIMESCALE else scale
        return scale

    def _frames(self, store: SegmentStore) -> Iterator[Timed]:
        """Yield all encoded frames in decoding order."""
        stamps: list[int] = []
        order: list[int] = []
        ahead = last = 0
        for head in store.heads():
            order += [len(stamps) + frame for frame in head.order]
            ahead = max(ahead, reordering(head.order))
            stamps += head.stamps
            last = head.last_duration
        ticks = round(self._clip.start / self._clip.time_base)
        stamps = [stamp - ticks for stamp in stamps]
        ends = [*stamps[1:], stamps[-1] + last]
        read = decoding_stamps(stamps, ahead, self._clip.ticks_per_frame)
        place = 0
        for segment in store:
            for packet in segment.packets:
                frame = order[place]
                yield Timed(
                    data=packet.data,
                    is_key=packet.is_key,
                    shown=stamps[frame],
                    read=read[place],
                    duration=ends[frame] - stamps[frame],
                )
                place += 1

    def _moved(self, packet: Packet[Stream]) -> Fraction:
        """Subtract `Clip.start` from a packet's time stamps.

        Returns:
            Its decoding time in seconds.
        """
        time_base = fraction(packet.time_base) or Fraction(1)
        ticks = round(self._clip.start / time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        return integer(packet.pts if packet.dts is None else packet.dts) * time_base

    def _write(self, video: Any, frame: Timed) -> None:
        packet = pyav().Packet(frame.data)
        packet.stream = video
        packet.time_base = self._clip.time_base
        packet.pts, packet.dts, packet.duration = frame.shown, frame.read, frame.duration
        packet.is_keyframe = frame.is_key
        self._result.mux(packet)
