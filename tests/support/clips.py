"""Clips for tests: a few small frames, with any other data that a file can hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.video.colours import LIMITED, Colours
from runtime.video.encoding import Encoding
from runtime.video.facts import Clip
from tests.support.processes import run

RATE = Fraction(25)
SIZE = (48, 64)
"""Height and width."""

needs_ffprobe = pytest.mark.skipif(
    shutil.which("ffprobe") is None, reason="ffprobe is not installed: apt-get install ffmpeg"
)


def picture(number: int, size_hw: tuple[int, int] = SIZE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A frame: a smooth gradient, over which a square moves."""
    height, width = size_hw
    rows, columns = np.mgrid[0:height, 0:width]
    frame = np.stack(
        (
            40 + 160 * columns / max(1, width - 1),
            40 + 160 * rows / max(1, height - 1),
            np.full((height, width), 90 + 6 * (number % 20)),
        ),
        axis=2,
    )
    left = (4 * number) % max(1, width - 12)
    frame[8:20, left : left + 12] = (220, 60, 40)
    return frame.astype(np.uint8)


def make(
    path: Path,
    *,
    frames: int = 10,
    size_hw: tuple[int, int] = SIZE,
    rate: Fraction = RATE,
    stamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    colours: tuple[int, int, int, int] | None = None,
    turn: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    audio: int = 0,
    audio_codec: str = "aac",
    audio_start: Fraction = Fraction(0),
    subtitles: Sequence[tuple[str, float, float]] = (),
    chapters: Sequence[tuple[str, float, float]] = (),
    attachment: bytes | None = None,
    metadata: Mapping[str, str] | None = None,
    muxer_options: Mapping[str, str] | None = None,
    pictures: Sequence[Any] | None = None,
    interlaced: bool = False,
) -> Path:
    """Write a clip.

    Args:
        path: names the container.
        stamps: when frames are shown, in ticks of `time_base`; by default at the rate.
        colours: primaries, transfer, matrix and range.
        turn: FFmpeg's display matrix.
        audio: how many tracks of sound.
        subtitles: text, begin and end in seconds.
        chapters: likewise.
        pictures: frames instead of those that `picture` makes.
    """
    av: Any = pytest.importorskip("av")
    time_base = time_base or 1 / rate
    container_options = dict(muxer_options or {})
    with av.open(str(path), "w", container_options=container_options) as out:
        video = out.add_stream(codec, rate=rate)
        video.height, video.width = size_hw
        video.pix_fmt = pixel_format
        video.codec_context.time_base = time_base
        video.options = {"g": "8", **(options or {})}
        if interlaced:
            video.codec_context.flags |= av.codec.context.Flags.interlaced_dct
            video.codec_context.flags |= av.codec.context.Flags.interlaced_me
        if colours:
            context = video.codec_context
            context.color_primaries, context.color_trc = colours[:2]
            context.colorspace, context.color_range = colours[2:]
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if turn:
            video.set_display_matrix(turn)
        out.metadata.update(metadata or {})
        sounds = [out.add_stream(audio_codec, rate=48000) for _ in range(audio)]
        for number, sound in enumerate(sounds):
            sound.metadata["language"] = ("eng", "deu")[number % 2]
        words = _subtitle_stream(out, path) if subtitles else None
        if attachment is not None:
            out.add_attachment("font.ttf", "font/ttf", attachment)
        if chapters:
            out.set_chapters([_chapter(*each, number) for number, each in enumerate(chapters)])
        packets: list[Any] = []
        for number in range(frames):
            array = picture(number, size_hw) if pictures is None else pictures[number]
            deep = array.dtype == np.uint16
            frame = av.VideoFrame.from_ndarray(array, format="rgb48le" if deep else "rgb24")
            if colours:
                frame = frame.reformat(
                    format=pixel_format,
                    dst_colorspace={1: 1, 5: 5, 6: 5, 9: 9}[colours[2]],
                    dst_color_range=colours[3],
                )
            frame.pts = number if stamps is None else stamps[number]
            if stamps is None:
                frame.pts = round(number / rate / time_base)
            frame.time_base = time_base
            packets += video.encode(frame)
        packets += video.encode(None)
        for sound in sounds:
            packets += _sound(sound, Fraction(frames) / rate, audio_start)
        if words is not None:
            packets += [_words(words, *each) for each in subtitles]
        packets.sort(key=lambda packet: (packet.dts or 0) * packet.time_base)
        for packet in packets:
            out.mux(packet)
    return path


def _subtitle_stream(out: Any, path: Path) -> Any:
    stream = out.add_mux_stream("mov_text" if path.suffix in (".mp4", ".mov") else "subrip")
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "fra"
    return stream


def _words(stream: Any, text: str, begin: float, end: float) -> Any:
    import av

    data = text.encode()
    if stream.container.format.name in ("mp4", "mov"):
        data = len(data).to_bytes(2, "big") + data
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = round(1000 * begin)
    packet.duration = round(1000 * (end - begin))
    packet.is_keyframe = True
    return packet


def _sound(stream: Any, seconds: Fraction, start: Fraction) -> list[Any]:
    import av

    samples, packets = 960, []
    for number in range(max(1, round(seconds * 48000 / samples))):
        time = (number * samples + np.arange(samples)) / 48000
        wave = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack((wave, wave)), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        frame.time_base = Fraction(1, 48000)
        frame.pts = number * samples + round(start * 48000)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def _chapter(title: str, begin: float, end: float, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "start": round(1000 * begin),
        "end": round(1000 * end),
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }


def probe(path: Path) -> dict[str, Any]:
    """Return ffprobe's description of a file."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format"]
    command += ["-show_chapters", "-show_packets", str(path)]
    result = run(command)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def times(found: Mapping[str, Any], index: int, key: str = "pts_time") -> list[float]:
    """Presentation times of a stream's packets, sorted, in seconds."""
    packets = [one for one in found["packets"] if one["stream_index"] == index]
    return sorted(float(one[key]) for one in packets)


def video_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The first video stream."""
    return next(one for one in found["streams"] if one["codec_type"] == "video")


def samples_of(path: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """All frames as RGB, by PyAV."""
    av: Any = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def a_clip(**changes: Any) -> Clip:
    """Properties of a small video, with changes."""
    clip = Clip(
        path=Path("x.mp4"),
        size_hw=SIZE,
        turn=None,
        rate=RATE,
        time_base=Fraction(1, 12800),
        frames=10,
        end=None,
        start=Fraction(0),
        aspect=None,
        colours=Colours(primaries=1, transfer=1, matrix=1, range=LIMITED),
        bits=8,
        chroma_shift=(1, 1),
        is_grey=False,
        codec="h264",
        streams="no sound",
        notes=(),
    )
    return replace(clip, **changes)


def an_encoding(**changes: Any) -> Encoding:
    """Encoder settings for its result, with changes."""
    encoding = Encoding(
        encoder="libx264",
        options={"crf": "18"},
        size_hw=(4 * SIZE[0], 4 * SIZE[1]),
        pixel_format="yuv420p",
        rate=RATE,
        aspect=None,
        colours=Colours(primaries=1, transfer=1, matrix=1, range=LIMITED),
    )
    return replace(encoding, **changes)
