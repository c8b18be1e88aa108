"""Decodes a clip: its frames in the order they are shown, each with its time stamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.image.picture import Picture
from runtime.system.cores import usable_cores
from runtime.video.colours import Colours, matrix_name
from runtime.video.facts import Clip, open_clip, refuse, video_stream
from runtime.video.filters import Filter, ToRgb, deinterlacer
from runtime.video.library import pyav, reading
from runtime.video.settings import VideoSettings
from runtime.video.stamps import Stamps

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame as it was decoded."""

    number: int
    """From 0, in the order they are shown."""
    stamp: int
    """When it is shown, in ticks of the clip's time base, `Clip.start` not yet taken off."""
    duration: int
    raw: VideoFrame


_SIDE_DATA = {
    "A53_CC": "closed captions within frames",
    "CONTENT_LIGHT_LEVEL": "light levels of HDR",
    "DOVI_METADATA": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "GOP_TIMECODE": "time codes within frames",
    "ICC_PROFILE": "its ICC profile",
    "MASTERING_DISPLAY_METADATA": "its mastering display",
    "S12M_TIMECODE": "time codes within frames",
    "SPHERICAL": "its spherical projection",
    "STEREO3D": "its stereoscopic layout",
}
"""What frames carry beside their samples and no encoder here is given, by FFmpeg's names."""


class ClipReader:
    """Reads a clip from its beginning to its end.

    Args:
        clip: its facts.
        settings: what is refused, and whether frames are deinterlaced.
        is_deep: whether pictures of clips with more than 8 bits have 16; else all have 8.
    """

    def __init__(self, clip: Clip, settings: VideoSettings, *, is_deep: bool) -> None:
        self._clip = clip
        self._settings = settings
        self._to_rgb = ToRgb(clip.codec, is_deep=is_deep and clip.is_deep)
        self._stamps = Stamps(clip.ticks_per_frame)
        self._damaged = 0
        self._left_out: set[str] = set()
        self._deinterlacer: Filter | None = None

    def frames(self) -> Iterator[Frame]:
        """All frames; to be called once.

        Damaged ones are left out, and the end of a file that was cut off is its end; `notes` tell.

        Raises:
            ImageReadError: a frame is of a kind that is refused, or the file cannot be read.
        """
        waiting: deque[tuple[int, int]] = deque()
        for number, frame in enumerate(self._deinterlaced(self._decoded(waiting))):
            stamp, duration = waiting.popleft()
            yield Frame(number=number, stamp=stamp, duration=duration, raw=frame)

    def picture(self, frame: Frame) -> Picture:
        """A frame's samples.

        Raises:
            ImageReadError: its colours cannot be converted.
        """
        raw, name = frame.raw, self._clip.path.name
        colours = self._colours(raw)
        matrix_name(colours.matrix, name)
        with reading(name):
            rgb_hwc = self._to_rgb.samples(raw, colours.matrix, colours.range)
        return Picture(rgb_hwc=rgb_hwc, is_grey=self._clip.is_grey)

    @property
    def notes(self) -> list[str]:
        """What a person should know once all frames were read."""
        notes = []
        if self._damaged:
            notes.append(f"{self._damaged} damaged parts of the file could not be decoded")
        if made_up := self._stamps.made_up:
            notes.append(f"{made_up} time stamps were missing or ran backwards, and were made up")
        if self._left_out:
            notes.append(f"not kept: {', '.join(sorted(self._left_out))}")
        return notes

    def _decoded(self, waiting: deque[tuple[int, int]]) -> Iterator[VideoFrame]:
        name = self._clip.path.name
        with reading(name), open_clip(self._clip.path) as container:
            stream = video_stream(container, name)
            stream.thread_type = "AUTO"
            stream.thread_count = min(16, usable_cores())
            for frame in self._readable(container, stream):
                refuse(frame, self._clip, self._settings)
                self._left_out |= _side_data(frame)
                # Files without times of their own have those at which packets are read.
                stamp = frame.dts if frame.pts is None else frame.pts
                waiting.append(self._stamps.next(stamp, frame.duration))
                yield frame

    def _readable(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """What can be decoded; counts the rest."""
        invalid = pyav().error.InvalidDataError
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except invalid:
                packet = None
                self._damaged += 1
            if packet is None:
                return
            try:
                frames = packet.decode()
            except invalid:
                self._damaged += 1
                continue
            for frame in frames:
                self._damaged += frame.is_corrupt
                yield frame

    def _deinterlaced(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        if not self._settings.deinterlace:
            yield from frames
            return
        for frame in frames:
            if self._deinterlacer is None:
                self._deinterlacer = deinterlacer(frame)
            yield from self._deinterlacer.push(frame)
        if self._deinterlacer is not None:
            yield from self._deinterlacer.push(None)

    def _colours(self, frame: VideoFrame) -> Colours:
        """A frame's own colours, where it says otherwise than the first one."""
        form = frame.format
        tags = {"matrix": int(frame.colorspace), "range": int(frame.color_range)}
        clip = self._clip.colours
        if form.name.startswith("yuvj") and not tags["range"]:
            tags["range"] = 2
        matrix = tags["matrix"] if tags["matrix"] not in (0, 2) else clip.matrix
        return Colours(
            primaries=clip.primaries,
            transfer=clip.transfer,
            matrix=matrix,
            range=tags["range"] or clip.range,
        )


def _side_data(frame: VideoFrame) -> set[str]:
    """What of `_SIDE_DATA` a frame carries."""
    side_data: Any = frame.side_data
    # Newer versions of PyAV give the types, older ones what has a type.
    names = {getattr(one, "type", one).name for one in side_data}
    return {_SIDE_DATA[name] for name in names if name in _SIDE_DATA}


def same_samples(one: Picture, other: Picture) -> bool:
    """Whether two pictures of a clip look alike to the last bit."""
    return bool((one.rgb_hwc == other.rgb_hwc).all())
