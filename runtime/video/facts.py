"""Inspects a video before it is decoded, and rejects unsupported kinds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ImageReadError
from runtime.video.colours import FULL, Colours, matrix_name
from runtime.video.library import fraction, integer, pyav, reading
from runtime.video.settings import VideoSettings

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

USUAL_RATE = Fraction(25)
"""Frame rate assumed if the file has none."""

MOST_RATE = 1000
"""Higher rates in files are the resolution of their time stamps."""

TIME_STAMPS_PER_S = 1_000_000
"""FFmpeg's AV_TIME_BASE."""

_DEMUXERS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg"
"""Allowed demuxers: no playlists or scripts, which open other files."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Properties of a video."""

    path: Path
    size_hw: tuple[int, int]
    """Stored size, without the rotation for display."""
    turn: tuple[int, ...] | None
    """FFmpeg's display matrix, nine numbers; None if there is none."""
    rate: Fraction
    """Average frames per second."""
    time_base: Fraction
    """Seconds per tick of the time stamps."""
    frames: int
    """Estimated number of frames; 0 if unknown."""
    end: Fraction | None
    """End time in seconds according to the file; None if unknown."""
    start: Fraction
    """Seconds subtracted from all time stamps; 0 except for broadcast formats."""
    aspect: Fraction | None
    """Sample aspect ratio; None for square pixels."""
    colours: Colours
    bits: int
    """Bits per sample."""
    chroma_shift: tuple[int, int]
    """Log2 of the columns and rows that share a chroma sample."""
    is_grey: bool
    codec: str
    """FFmpeg name of the decoder."""
    streams: str
    """Human-readable list of audio and subtitle streams."""
    notes: tuple[str, ...]

    @property
    def is_deep(self) -> bool:
        """Whether samples have more than 8 bits."""
        return self.bits > 8

    @property
    def is_on_its_side(self) -> bool:
        """Whether rows are displayed as columns."""
        return self.turn is not None and self.turn[0] == 0 == self.turn[4]

    @property
    def shown_hw(self) -> tuple[int, int]:
        """Displayed size."""
        height, width = self.size_hw
        return (width, height) if self.is_on_its_side else (height, width)

    @property
    def ticks_per_frame(self) -> int:
        """Default duration of a frame in ticks."""
        return max(1, round(1 / (self.rate * self.time_base)))

    @property
    def description(self) -> str:
        """One-line description."""
        rate = f"{float(self.rate):.5g} frames a second"
        kind = f"{self.codec}, {self.bits} bits, {self.colours.name}"
        if self.colours.range == FULL:
            kind += " full range"
        return f"{kind}, {rate}; {self.streams}"


def open_clip(path: Path) -> InputContainer:
    """Open a file for reading.

    Raises:
        FFmpegError: it is not a video, or damaged; see `library.reading`.
    """
    av = pyav()
    # Metadata in old files may have any encoding, which newer versions allow by default.
    is_old = int(av.__version__.partition(".")[0]) < 19
    container: InputContainer = av.open(
        str(path.absolute()),
        container_options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"},
        **({"metadata_errors": "surrogateescape"} if is_old else {}),
    )
    return container


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the video stream that a player would show.

    Raises:
        ImageReadError: there is none.
    """
    pictures = pyav().stream.Disposition.attached_pic | pyav().stream.Disposition.timed_thumbnails
    streams = [one for one in container.streams.video if not one.disposition & pictures]
    best = container.streams.best("video")
    stream = best if best in streams else next(iter(streams), None)
    if stream is None:
        raise ImageReadError(f"{name}: it contains no video: leave it out")
    if stream.codec_context is None:
        raise ImageReadError(f"{name}: PyAV has no decoder for its video: convert it first")
    return stream


def look_at(path: Path, settings: VideoSettings) -> Clip:
    """Inspect a video and decode its first frame.

    Raises:
        ImageReadError: it cannot be read, or is of an unsupported kind.
        MissingDependency: PyAV is not installed.
    """
    with reading(path.name), open_clip(path) as container:
        stream = video_stream(container, path.name)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise ImageReadError(
                f"{path.name}: none of its frames can be decoded: copy or export it again"
            )
        clip = _facts(path, container, stream, frame)
    refuse(frame, clip, settings)
    return clip


def refuse(frame: VideoFrame, clip: Clip, settings: VideoSettings) -> None:
    """Reject a frame that would come out wrong.

    Raises:
        ImageReadError: it is interlaced or HDR without the option that allows this, or differs in
            size from the first one.
    """
    name = clip.path.name
    if frame.interlaced_frame and not settings.deinterlace:
        raise ImageReadError(f"{name}: it is interlaced: use --deinterlace")
    if clip.colours.hdr and not settings.hdr:
        raise ImageReadError(
            f"{name}: it is HDR ({clip.colours.hdr}), and the models are trained on SDR: use --hdr "
            "to upscale it anyway, or convert it to SDR first"
        )
    if (frame.height, frame.width) != clip.size_hw:
        height, width = clip.size_hw
        raise ImageReadError(
            f"{name}: its frames change from {width}x{height} to {frame.width}x{frame.height} "
            "pixels: split it at that point"
        )


def _facts(path: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame) -> Clip:
    form = frame.format
    components = form.components
    chroma = [one for one in components if not one.is_luma and not one.is_alpha]
    colours, notes = Colours.of(
        {
            "primaries": integer(frame.color_primaries),
            "transfer": integer(frame.color_trc),
            "matrix": integer(frame.colorspace),
            "range": integer(frame.color_range),
        },
        rows=frame.height,
        is_rgb=form.is_rgb,
        is_full=form.name.startswith("yuvj"),
    )
    matrix_name(colours.matrix, path.name)
    # FFmpeg's own decoders of VP8 and VP9 leave alpha out, which is a stream inside the stream.
    if any(one.is_alpha for one in components) or stream.metadata.get("alpha_mode") == "1":
        notes.append("transparency is not kept")
    if len(container.streams.video) > 1:
        notes.append(
            "only the main video was upscaled; other video streams and cover art were copied"
        )
    rate = _rate(stream)
    shift = (0, 0) if form.is_rgb or not chroma else _shift(frame)
    return Clip(
        path=path,
        size_hw=(frame.height, frame.width),
        turn=_turn(frame),
        rate=rate,
        time_base=fraction(stream.time_base) or Fraction(1, TIME_STAMPS_PER_S),
        frames=_frames(container, stream, rate),
        end=_end(stream),
        start=_start(container),
        aspect=fraction(stream.sample_aspect_ratio),
        colours=colours,
        bits=max(one.bits for one in components),
        chroma_shift=shift,
        is_grey=not chroma and not form.is_rgb,
        codec=stream.codec_context.name,
        streams=_streams(container),
        notes=tuple(notes),
    )


def _shift(frame: VideoFrame) -> tuple[int, int]:
    """Return log2 of the columns and rows that share a chroma sample."""
    width, height = frame.format.chroma_width(1 << 8), frame.format.chroma_height(1 << 8)
    return 9 - int(width).bit_length(), 9 - int(height).bit_length()


def _turn(frame: VideoFrame) -> tuple[int, ...] | None:
    side_data: Any = frame.side_data
    data = side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    values = memoryview(bytes(data)).cast("i")
    return tuple(values)


def _rate(stream: VideoStream) -> Fraction:
    for value in (stream.average_rate, stream.guessed_rate):
        rate = fraction(value)
        if rate and 0 < rate <= MOST_RATE:
            return rate
    return USUAL_RATE


def _frames(container: InputContainer, stream: VideoStream, rate: Fraction) -> int:
    if stream.frames:
        return stream.frames
    time_base = fraction(stream.time_base)
    if stream.duration and time_base:
        return max(1, round(stream.duration * time_base * rate))
    if container.duration:
        return max(1, round(Fraction(container.duration, TIME_STAMPS_PER_S) * rate))
    return 0


def _end(stream: VideoStream) -> Fraction | None:
    time_base = fraction(stream.time_base)
    if stream.duration and time_base:
        return (integer(stream.start_time) + stream.duration) * time_base
    # Matroska has no field for it, but muxers write a tag: 00:00:10.010000000.
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    except ValueError:
        return None


def _start(container: InputContainer) -> Fraction:
    # Broadcasts start at an arbitrary time, which is meaningless in a file.
    if not container.format.flags & pyav().format.Flags.ts_discont.value:
        return Fraction(0)
    starts = [
        stream.start_time * time_base
        for stream in container.streams
        if stream.start_time is not None and (time_base := fraction(stream.time_base))
    ]
    return min(starts, default=Fraction(0))


def _streams(container: InputContainer) -> str:
    streams = container.streams
    counts = ((len(streams.audio), "audio"), (len(streams.subtitles), "subtitle"))
    named = [f"{count} {what}" + ("s" if count > 1 and what == "subtitle" else "")
             for count, what in counts if count]  # fmt: skip
    return ", ".join(named) or "no sound"
