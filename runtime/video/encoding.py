"""Selects and configures the encoder of a result."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigError, ImageWriteError
from runtime.system.cores import usable_cores
from runtime.system.scheduling import scheduling_kept
from runtime.video.colours import Colours
from runtime.video.facts import Clip
from runtime.video.formats import MUXERS
from runtime.video.library import pyav, reason_of, writing
from runtime.video.settings import VideoSettings

if TYPE_CHECKING:
    from av import VideoCodecContext
    from av.video.format import VideoFormat

SEGMENT_FRAMES = 120
"""Frames per segment: the most that a killed run loses, and the distance of key frames."""

DEFAULT_CRF = 18

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}

_HARDWARE = {"nvenc": "an NVIDIA GPU", "qsv": "an Intel GPU", "amf": "an AMD GPU"}
"""Hardware that encoders need, by suffix: FFmpeg's own error messages do not name it."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Encoder with all settings that affect its packets."""

    encoder: str
    """FFmpeg name of the encoder."""
    options: dict[str, str]
    size_hw: tuple[int, int]
    pixel_format: str
    rate: Fraction
    aspect: Fraction | None
    colours: Colours
    notes: tuple[str, ...] = ()


def plan_encoding(
    clip: Clip, size_hw: tuple[int, int], target: Path, settings: VideoSettings
) -> Encoding:
    """Select an encoder and its settings, before anything is computed.

    Args:
        clip: properties of the source.
        size_hw: stored size of the result.
        target: path of the result, whose suffix selects the container.
        settings: requested settings.

    Raises:
        ConfigError: the encoder does not exist, or has no presets or quality setting.
        ImageWriteError: the encoder cannot be opened, or the container does not support it.
    """
    encoder = _encoder(clip, target, settings)
    _check_preset(encoder, target, settings)
    pixel_format, notes = _pixel_format(encoder, clip)
    even_hw = _even(size_hw, pixel_format)
    if even_hw != size_hw:
        sizes = "{1}x{0} instead of {3}x{2} pixels".format(*even_hw, *size_hw)
        notes.append(f"{sizes}, because {pixel_format} needs even sizes")
    encoding = Encoding(
        encoder=encoder,
        options=_options(encoder, settings),
        size_hw=even_hw,
        pixel_format=pixel_format,
        rate=clip.rate,
        aspect=clip.aspect,
        colours=clip.colours.for_yuv(),
        notes=tuple(notes),
    )
    open_encoder(encoding, target.name)
    _check_container(encoding, target)
    return encoding


def open_encoder(encoding: Encoding, name: str) -> VideoCodecContext:
    """Open an encoder for frames numbered from 0.

    Raises:
        ImageWriteError: it does not work on this machine or with these settings.
    """
    context: VideoCodecContext = pyav().CodecContext.create(encoding.encoder, "w")
    context.width, context.height = encoding.size_hw[1], encoding.size_hw[0]
    configure(context, encoding)
    context.flags |= pyav().codec.context.Flags.global_header
    remedy = "Choose another --video-codec, --preset or size"
    with writing(name, remedy):
        try:
            with scheduling_kept():
                context.open()
        except (pyav().error.FFmpegError, OSError) as error:  # drivers raise OSErrors, too
            needed = _HARDWARE.get(encoding.encoder.rpartition("_")[2])
            hint = f" (it needs {needed} and its driver)" if needed else ""
            raise ImageWriteError(
                f"{name}: the encoder {encoding.encoder} cannot be opened{hint}: "
                f"{reason_of(error)}. {remedy}"
            ) from error
    if "preset" in context.options or "cpu-used" in context.options:  # not consumed
        raise ConfigError(
            f"--preset is for encoders that have some, and {encoding.encoder} has none"
        )
    return context


def configure(context: Any, encoding: Encoding) -> None:
    """Configure an encoder, always in the same way, so that segments fit together.

    Args:
        context: PyAV codec context that is not open yet.
        encoding: encoder settings.
    """
    context.pix_fmt = encoding.pixel_format
    context.framerate = encoding.rate
    context.time_base = 1 / encoding.rate
    context.gop_size = SEGMENT_FRAMES
    context.thread_count = min(16, usable_cores())
    if encoding.aspect:
        context.sample_aspect_ratio = encoding.aspect
    colours = encoding.colours
    context.color_primaries, context.color_trc = colours.primaries, colours.transfer
    context.colorspace, context.color_range = colours.matrix, colours.range
    context.options = dict(encoding.options)


def _encoder(clip: Clip, target: Path, settings: VideoSettings) -> str:
    codec = settings.codec
    if codec == "auto":
        codec = "vp9" if target.suffix.lower() == ".webm" else "hevc" if clip.is_deep else "h264"
    encoder = _ENCODERS.get(codec, codec)
    av = pyav()
    try:
        found = av.codec.Codec(encoder, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise ConfigError(
            f"--video-codec is {settings.codec!r}, and the installed PyAV has no such encoder: "
            f"expected auto, {', '.join(_ENCODERS)}, or an FFmpeg encoder, for example h264_nvenc"
        ) from error
    if found.type != "video":
        raise ConfigError(f"--video-codec is {settings.codec!r}, which encodes no video")
    muxer = av.format.ContainerFormat(MUXERS[target.suffix.lower()], "w")
    if not _holds(muxer.name, found.name):
        raise ImageWriteError(_not_supported(target, found.name))
    return str(found.name)


def _check_preset(encoder: str, target: Path, settings: VideoSettings) -> None:
    """Refuse a preset by name where presets are numbers; other clips of the run may have names."""
    is_numbered = encoder.startswith(("libvpx", "libaom", "libsvtav1"))
    if settings.preset and is_numbered and not settings.preset.lstrip("-").isdecimal():
        raise ImageWriteError(
            f"{target.name}: --preset is {settings.preset!r}, and presets of {encoder} are "
            "numbers, such as --preset 4: higher ones are faster"
        )


def _holds(muxer: str, encoder: str) -> bool:
    """Return whether a muxer supports an encoder."""
    av = pyav()
    with av.open(_Nowhere(), "w", format=muxer) as container:
        try:
            container.add_stream(encoder, rate=25)
        except ValueError:
            return False
        return True


def _check_container(encoding: Encoding, target: Path) -> None:
    """Write a header in memory: some muxers refuse an encoder only there.

    Raises:
        ImageWriteError: the container does not support the encoder.
    """
    av = pyav()
    try:
        with av.open(io.BytesIO(), "w", format=MUXERS[target.suffix.lower()]) as container:
            stream: Any = container.add_stream(encoding.encoder, rate=encoding.rate)
            stream.width, stream.height = encoding.size_hw[1], encoding.size_hw[0]
            configure(stream.codec_context, encoding)
            with scheduling_kept():
                container.start_encoding()
    except (av.error.FFmpegError, OSError) as error:
        raise ImageWriteError(_not_supported(target, encoding.encoder)) from error


def _not_supported(target: Path, encoder: str) -> str:
    instead = "" if target.suffix.lower() == ".mkv" else ", or name the result .mkv"
    return (
        f"{target.name}: {target.suffix} does not support {encoder}: choose another "
        f"--video-codec{instead}"
    )


class _Nowhere:
    """A file to ask a muxer about; it must not be written."""

    def write(self, data: bytes) -> int:
        """Fail: nothing should be written."""
        raise OSError("not a file")


def _pixel_format(encoder: str, clip: Clip) -> tuple[str, list[str]]:
    """Select the format closest to the source: first in chroma, then in depth."""
    formats = [one for one in pyav().codec.Codec(encoder, "w").video_formats or () if _is_yuv(one)]
    if not formats:
        raise ConfigError(f"--video-codec is {encoder!r}, which takes no YUV: choose another one")
    wanted = (1, 1) if clip.is_grey else clip.chroma_shift

    def distance(form: VideoFormat) -> tuple[int, int, int]:
        bits = form.components[0].bits
        fewer = sum(abs(a - b) for a, b in zip(_chroma_shift(form), wanted, strict=True))
        return fewer, max(0, clip.bits - bits), max(0, bits - clip.bits)

    best = min(formats, key=distance)
    notes = []
    if _chroma_shift(best) != wanted:
        notes.append(f"chroma resolution changes: {encoder} writes {best.name}")
    if best.components[0].bits < clip.bits:
        notes.append(
            f"{best.components[0].bits} bits instead of {clip.bits}: {encoder} supports no more"
        )
    return best.name, notes


def _is_yuv(form: VideoFormat) -> bool:
    components = form.components
    return (
        len(components) == 3
        and not form.is_rgb
        and not form.name.startswith(("yuvj", "x2", "gbr"))
        and not any(one.is_alpha for one in components)
        and not form.name.endswith("msble")
    )


def _chroma_shift(form: VideoFormat) -> tuple[int, int]:
    width, height = form.chroma_width(256), form.chroma_height(256)
    return 9 - int(width).bit_length(), 9 - int(height).bit_length()


def _even(size_hw: tuple[int, int], pixel_format: str) -> tuple[int, int]:
    """Round a size to whole chroma samples, upwards if tied."""
    columns, rows = _chroma_shift(pyav().VideoFormat(pixel_format, 256, 256))
    height, width = (
        max(step, (size + step // 2) // step * step)
        for size, step in zip(size_hw, (1 << rows, 1 << columns), strict=True)
    )
    return height, width


def _options(encoder: str, settings: VideoSettings) -> dict[str, str]:
    crf = DEFAULT_CRF if settings.crf is None else settings.crf
    options = _quality(encoder, crf)
    if not options and settings.crf is not None:
        raise ConfigError(f"--crf does not apply to {encoder}: leave it out")
    if settings.preset is not None:
        options["cpu-used" if encoder.startswith("libvpx") else "preset"] = settings.preset
    if encoder == "libx264":
        # Its macroblock tree reads memory that nobody wrote, so that the same frames give other
        # bytes now and then, and a run that goes on would not make the undisturbed run's file.
        options["mbtree"] = "0"
    if encoder == "libx265":
        # It writes to standard error unless told otherwise.
        options["x265-params"] = "log-level=none"
    return options | {"chroma_sample_location": "left"}


def _quality(encoder: str, crf: int) -> dict[str, str]:
    """Return the options for constant quality; empty if the encoder has none."""
    if encoder in ("libx264", "libx265", "libsvtav1"):
        return {"crf": str(crf)}
    if encoder.startswith(("libvpx", "libaom")):
        return {"crf": str(crf), "b": "0", "row-mt": "1"}
    maker = encoder.rpartition("_")[2]
    return {
        "nvenc": {"rc": "vbr", "cq": str(crf), "b": "0"},
        "qsv": {"global_quality": str(crf)},
        "amf": {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf), "qp_b": str(crf)},
        # On a scale of quality from 0 to 100.
        "videotoolbox": {"q:v": str(max(1, 100 - 2 * crf))},
    }.get(maker, {})
