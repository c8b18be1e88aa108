"""Settings for reading and encoding videos."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import ConfigError

MOST_CRF = 63
"""Largest value for VP9 and AV1; H.264 and HEVC end at 51."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """Settings for upscaling videos.

    Raises:
        ConfigError: a value is out of range.
    """

    codec: str = "auto"
    """`h264`, `hevc`, `av1`, `vp9`, or the name of an FFmpeg encoder; `auto` selects VP9 for WebM,
    HEVC for more than 8 bits, and H.264 otherwise."""

    crf: int | None = None
    """Constant quality, lower is better; None for 18 if the encoder supports it."""

    preset: str | None = None
    """Encoder preset; None for its default."""

    deinterlace: bool = False
    """Whether to deinterlace interlaced frames."""

    hdr: bool = False
    """Whether to upscale videos with an HDR transfer function."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= MOST_CRF:
            raise ConfigError(f"--crf is {self.crf}: expected 0 to {MOST_CRF}")
        if not self.codec:
            raise ConfigError("--video-codec is empty: expected for example h264 or hevc")
