"""Reads a finished result back to find what its container could not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ImageWriteError
from runtime.video.encoding import Encoding
from runtime.video.facts import Clip, look_at, open_clip, video_stream
from runtime.video.library import fraction, reading
from runtime.video.mux import describes_old_file, is_statistic, says_nothing
from runtime.video.segments import SegmentStore
from runtime.video.settings import VideoSettings

if TYPE_CHECKING:
    from av.container import InputContainer

HARDLY_MS = 0.001
"""Differences in time that are not worth a note."""

_WRITTEN_BY_MUXERS = frozenset({"handler_name", "vendor_id", "language", "creation_time"})


@dataclass(kw_only=True)
class _Times:
    """Presentation times of a stream's packets, in seconds."""

    kind: str
    is_main: bool
    shown: list[Fraction] = field(default_factory=list)


def what_is_lost(
    clip: Clip, encoding: Encoding, store: SegmentStore, result: Path, suffix: str
) -> list[str]:
    """Compare a result with its source.

    Args:
        clip: properties of the source.
        encoding: encoder settings of the result.
        store: segments of the result.
        result: finished file, under a temporary name.
        suffix: suffix of its final name.

    Returns:
        Notes for the user; empty if everything was kept.

    Raises:
        ImageWriteError: the result does not have as many frames as were encoded.
    """
    made = look_at(result, VideoSettings(deinterlace=True, hdr=True))
    with reading(clip.path.name), open_clip(clip.path) as old, open_clip(result) as new:
        expected = [
            stamp * clip.time_base - clip.start for head in store.heads() for stamp in head.stamps
        ]
        notes = list(_changed_times(old, new, expected, clip.path.name, suffix))
        lost = list(_lost_words(old, new))
        if len(new.chapters()) < len(old.chapters()):
            lost.append("chapters")
    lost += _lost_display(clip, encoding, made)
    return [*notes, *([f"not supported by {suffix}: {', '.join(lost)}"] if lost else [])]


def _lost_display(clip: Clip, encoding: Encoding, made: Clip) -> Iterator[str]:
    if (clip.turn or ())[:6] != (made.turn or ())[:6]:
        yield "turn for display"
    if clip.aspect != made.aspect and {clip.aspect, made.aspect} != {None, Fraction(1)}:
        yield "shape of pixels"
    if made.colours != encoding.colours:
        yield "tags of colours"


def _changed_times(
    old: InputContainer,
    new: InputContainer,
    expected: list[Fraction],
    name: str,
    suffix: str,
) -> Iterator[str]:
    before, after = _times(old, name), _times(new, name)
    shown = next(one.shown for one in after if one.is_main)
    if len(shown) != len(expected):
        raise ImageWriteError(
            f"{name}: the result has {len(shown)} frames instead of {len(expected)}: choose "
            "another container, for example .mkv, or another --video-codec"
        )
    shift = min(shown) - min(expected)
    if shift * 1000 < 1:
        shift = Fraction(0)  # rounding by the container
    else:
        later = float(shift) * 1000
        yield f"all times are {later:.2f} ms later: {suffix} does not support negative ones"
    off = max(abs(a - b - shift) for a, b in zip(shown, expected, strict=True))
    if off * 1000 > HARDLY_MS:
        yield f"times of frames are up to {float(off) * 1000:.2f} ms off: {suffix} rounds them"
    kept = [one for one in after if not one.is_main]
    for one in before:
        if one.is_main or not one.shown:
            continue
        match = next((other for other in kept if other.kind == one.kind), None)
        if match is None:
            continue  # left out, which was noted when the result was muxed
        kept.remove(match)
        if len(match.shown) < len(one.shown):
            missing = len(one.shown) - len(match.shown)
            yield f"{missing} packets of its {one.kind} are damaged and were left out"


def _times(container: InputContainer, name: str) -> list[_Times]:
    main = video_stream(container, name).index
    streams = [one for one in container.streams if one.type != "attachment"]
    times = {one.index: _Times(kind=str(one.type), is_main=one.index == main) for one in streams}
    for packet in container.demux(streams):
        if packet.pts is not None and not says_nothing(packet):
            time_base = fraction(packet.time_base) or Fraction(1)
            times[packet.stream.index].shown.append(packet.pts * time_base)
    for one in times.values():
        one.shown.sort()
    return list(times.values())


def _lost_words(old: InputContainer, new: InputContainer) -> Iterator[str]:
    missing = [
        key for key in old.metadata
        if not describes_old_file(key) and key.lower() not in _lowered(new.metadata)
    ]  # fmt: skip
    kinds = ("audio", "subtitle")
    for kind in kinds:
        pairs = zip(
            (one for one in old.streams if one.type == kind),
            (one for one in new.streams if one.type == kind),
            strict=False,
        )
        for one, other in pairs:
            missing += [
                f"{kind} {key}" for key in one.metadata
                if key.lower() not in _lowered(other.metadata) | _WRITTEN_BY_MUXERS
                and not is_statistic(key)
            ]  # fmt: skip
    if missing:
        yield f"metadata ({', '.join(sorted(set(missing)))})"


def _lowered(metadata: dict[str, str]) -> set[str]:
    return {key.lower() for key in metadata}
