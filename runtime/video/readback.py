"""Reads a finished result back to find what its container could not hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ImageWriteError
from runtime.video.encoding import Encoding
from runtime.video.facts import Clip, look_at, open_clip, video_stream
from runtime.video.library import fraction, reading
from runtime.video.mux import describes_old_file, is_cover, is_statistic, says_nothing
from runtime.video.segments import SegmentStore
from runtime.video.settings import VideoSettings

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

HARDLY_MS = 0.001
"""Differences in time that are not worth a note."""

_WRITTEN_BY_MUXERS = frozenset(
    {"handler_name", "vendor_id", "language", "creation_time", "alpha_mode"}
)


def what_is_lost(
    clip: Clip,
    encoding: Encoding,
    store: SegmentStore,
    result: Path,
    suffix: str,
    *,
    copied: Sequence[int],
) -> list[str]:
    """Compare a result with its source.

    Args:
        clip: properties of the source.
        encoding: encoder settings of the result.
        store: segments of the result.
        result: finished file, under a temporary name.
        suffix: suffix of its final name.
        copied: indices of the source's streams that it has, too.

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
        pairs = _pairs(old, new, copied, clip.path.name)
        notes = list(_changed_times(old, new, expected, clip.path.name, suffix, pairs))
        lost = list(_lost_words(old, new, pairs))
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


def _pairs(
    old: InputContainer, new: InputContainer, copied: Sequence[int], name: str
) -> list[tuple[Stream, Stream]]:
    """Pair the source's streams with the result's, the main videos first.

    Containers keep covers and attachments elsewhere, and their chapters may be a stream of data.
    """
    mains = video_stream(old, name), video_stream(new, name)
    before = [old.streams[index] for index in copied]
    after = [one for one in new.streams if one.index != mains[1].index]
    kinds = ("video", "audio", "subtitle")
    ordered = (
        [one for one in streams if one.type in kinds and not is_cover(one)]
        for streams in (before, after)
    )
    return [mains, *zip(*ordered, strict=False)]


def _changed_times(
    old: InputContainer,
    new: InputContainer,
    expected: list[Fraction],
    name: str,
    suffix: str,
    pairs: Sequence[tuple[Stream, Stream]],
) -> Iterator[str]:
    before, after = _times(old), _times(new)
    shown = after[pairs[0][1].index]
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
    for one, other in pairs[1:]:
        missing = len(before[one.index]) - len(after[other.index])
        if missing > 0:
            yield f"{missing} packets of its {one.type} are damaged and were left out"


def _times(container: InputContainer) -> dict[int, list[Fraction]]:
    """Return the presentation times of each stream's packets, in seconds, by its index."""
    streams = [one for one in container.streams if one.type != "attachment"]
    times: dict[int, list[Fraction]] = {one.index: [] for one in streams}
    for packet in container.demux(streams):
        if packet.pts is not None and not says_nothing(packet):
            time_base = fraction(packet.time_base) or Fraction(1)
            times[packet.stream.index].append(packet.pts * time_base)
    return {index: sorted(shown) for index, shown in times.items()}


def _lost_words(
    old: InputContainer, new: InputContainer, pairs: Sequence[tuple[Stream, Stream]]
) -> Iterator[str]:
    missing = [
        key for key in old.metadata
        if not describes_old_file(key) and key.lower() not in _lowered(new.metadata)
    ]  # fmt: skip
    for one, other in pairs:
        missing += [
            f"{one.type} {key}" for key in one.metadata
            if key.lower() not in _lowered(other.metadata) | _WRITTEN_BY_MUXERS
            and not is_statistic(key)
        ]  # fmt: skip
    if missing:
        yield f"metadata ({', '.join(sorted(set(missing)))})"


def _lowered(metadata: dict[str, str]) -> set[str]:
    return {key.lower() for key in metadata}
