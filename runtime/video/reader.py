"""Decodes a video into frames in presentation order, with time stamps."""

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
    """A decoded frame."""

    number: int
    """Number from 0, in presentation order."""
    stamp: int
    """Time stamp in ticks of the video's time base, before `Clip.start` is subtracted."""
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
"""Side data of frames that the result lacks, by FFmpeg's names."""


class ClipReader:
    """Reads a video from start to end.

    Args:
        clip: properties of the video.
        settings: allowed kinds of video, and deinterlacing.
        is_deep: whether pictures have 16 bits if the video has more than 8.
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
        """Decode all frames; may be called once.

        Damaged ones are skipped, and a truncated file simply ends; both appear in `notes`.

        Raises:
            ImageReadError: the file cannot be read, or a frame is of an unsupported kind.
        """
        waiting: deque[tuple[int, int]] = deque()
        for number, frame in enumerate(self._deinterlaced(self._decoded(waiting))):
            stamp, duration = waiting.popleft()
            yield Frame(number=number, stamp=stamp, duration=duration, raw=frame)

    def picture(self, frame: Frame) -> Picture:
        """Convert a frame to a picture.

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
        """Messages for the user, complete once all frames were read."""
        notes = []
        if self._damaged:
            notes.append(f"{self._damaged} damaged frames or packets were skipped")
        if made_up := self._stamps.made_up:
            notes.append(f"{made_up} time stamps were missing or out of order, and were replaced")
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
                # Some files only have decoding time stamps.
                stamp = frame.dts if frame.pts is None else frame.pts
                waiting.append(self._stamps.next(stamp, frame.duration))
                yield frame

    def _readable(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yield the frames that can be decoded, and count the rest."""
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
        """Return a frame's colours, which may differ from those of the first one."""
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
    """Return the kinds of `_SIDE_DATA` in a frame."""
    side_data: Any = frame.side_data
    # Iteration yields types in PyAV 19, and objects that have a type before.
    names = {getattr(one, "type", one).name for one in side_data}
    return {_SIDE_DATA[name] for name in names if name in _SIDE_DATA}


def same_samples(one: Picture, other: Picture) -> bool:
    """Return whether two pictures have identical samples."""
    return bool((one.rgb_hwc == other.rgb_hwc).all())
