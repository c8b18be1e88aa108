"""What there is to know of a clip before it is decoded, and which clips are refused."""

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
"""Frames per second of clips that do not say."""

MOST_RATE = 1000
"""What files claim beyond it is the fineness of their time stamps."""

TIME_STAMPS_PER_S = 1_000_000
"""Of FFmpeg's own times, for a file as a whole."""

_DEMUXERS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg"
"""No playlists and scripts, which would open other files."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip's facts."""

    path: Path
    size_hw: tuple[int, int]
    """As it is stored: what is turned for display is not turned here."""
    turn: tuple[int, ...] | None
    """FFmpeg's display matrix, nine numbers; None where it is shown as it is stored."""
    rate: Fraction
    """Frames per second on average."""
    time_base: Fraction
    """Seconds in a tick of the video's time stamps."""
    frames: int
    """About how many there are; 0 where nothing tells."""
    end: Fraction | None
    """When the video ends, in seconds, as the file promises; None where it does not."""
    start: Fraction
    """Seconds that are taken off all time stamps; 0 but for formats that begin anywhere."""
    aspect: Fraction | None
    """Width of a pixel in relation to its height; None for squares."""
    colours: Colours
    bits: int
    """Of a sample."""
    chroma_shift: tuple[int, int]
    """Log2 of how many columns and rows share a chroma sample."""
    is_grey: bool
    codec: str
    """FFmpeg's name of the decoder."""
    streams: str
    """What there is beside the video, for people."""
    notes: tuple[str, ...]

    @property
    def is_deep(self) -> bool:
        """Whether its samples have more than 8 bits."""
        return self.bits > 8

    @property
    def is_on_its_side(self) -> bool:
        """Whether its rows are shown as columns."""
        return self.turn is not None and self.turn[0] == 0 == self.turn[4]

    @property
    def shown_hw(self) -> tuple[int, int]:
        """Its size as it is shown."""
        height, width = self.size_hw
        return (width, height) if self.is_on_its_side else (height, width)

    @property
    def ticks_per_frame(self) -> int:
        """Of a frame that does not say how long it is shown."""
        return max(1, round(1 / (self.rate * self.time_base)))

    @property
    def description(self) -> str:
        """Its facts in one line, for people."""
        rate = f"{float(self.rate):.5g} frames a second"
        kind = f"{self.codec}, {self.bits} bits, {self.colours.name}"
        if self.colours.range == FULL:
            kind += " full range"
        return f"{kind}, {rate}; {self.streams}"


def open_clip(path: Path) -> InputContainer:
    """Open a file for reading.

    Raises:
        FFmpegError: it is no video, or damaged; see `library.reading`.
    """
    av = pyav()
    # Metadata of old files are in any encoding, which newer versions allow by themselves.
    is_old = int(av.__version__.partition(".")[0]) < 19
    container: InputContainer = av.open(
        str(path.absolute()),
        container_options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"},
        **({"metadata_errors": "surrogateescape"} if is_old else {}),
    )
    return container


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream that is upscaled: the one that a player would show.

    Raises:
        ImageReadError: there is none.
    """
    pictures = pyav().stream.Disposition.attached_pic | pyav().stream.Disposition.timed_thumbnails
    streams = [one for one in container.streams.video if not one.disposition & pictures]
    best = container.streams.best("video")
    stream = best if best in streams else next(iter(streams), None)
    if stream is None:
        raise ImageReadError(f"{name}: there is no video in it: leave it out")
    if stream.codec_context is None:
        raise ImageReadError(
            f"{name}: nothing here decodes its video: convert it with FFmpeg first"
        )
    return stream


def look_at(path: Path, settings: VideoSettings) -> Clip:
    """Find out what there is to know of a clip; decodes its first frame.

    Raises:
        ImageReadError: it cannot be read, or is of a kind that is refused.
        MissingDependency: PyAV is not installed.
    """
    with reading(path.name), open_clip(path) as container:
        stream = video_stream(container, path.name)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise ImageReadError(f"{path.name}: it has no frame that can be decoded: leave it out")
        clip = _facts(path, container, stream, frame)
    refuse(frame, clip, settings)
    return clip


def refuse(frame: VideoFrame, clip: Clip, settings: VideoSettings) -> None:
    """Refuse what would come out wrong, at the first frame or any later one.

    Raises:
        ImageReadError: the frame is interlaced, of HDR or of another size than the first, and
            nothing was said of it.
    """
    name = clip.path.name
    if frame.interlaced_frame and not settings.deinterlace:
        raise ImageReadError(
            f"{name}: it is interlaced, and its rows would be torn apart: use --deinterlace"
        )
    if clip.colours.hdr and not settings.hdr:
        raise ImageReadError(
            f"{name}: it is HDR ({clip.colours.hdr}), and the models were made for SDR: use --hdr "
            "to upscale it all the same, or convert it to SDR first"
        )
    if (frame.height, frame.width) != clip.size_hw:
        height, width = clip.size_hw
        raise ImageReadError(
            f"{name}: its frames change from {width}x{height} to {frame.width}x{frame.height} "
            "pixels: split it where they do"
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
    if any(one.is_alpha for one in components):
        notes.append("its transparency is not kept")
    if len(container.streams.video) > 1:
        notes.append("only its main video was upscaled; other video and covers are as they were")
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
    """Log2 of how many columns and rows share a chroma sample."""
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
    # Matroska has no field for it; whoever writes it adds a tag: 00:00:10.010000000.
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    except ValueError:
        return None


def _start(container: InputContainer) -> Fraction:
    # Broadcasts begin at any time of the day, which means nothing in a file.
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
