"""How results are encoded, and what is done to clips that need something first."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import ConfigError

MOST_CRF = 63
"""Of VP9 and AV1; H.264 and HEVC end at 51."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How clips are upscaled.

    Raises:
        ConfigError: a value is out of range.
    """

    codec: str = "auto"
    """`h264`, `hevc`, `av1`, `vp9`, or FFmpeg's name of an encoder; `auto`: VP9 in WebM, else
    HEVC for more than 8 bits, else H.264."""

    crf: int | None = None
    """Constant quality, lower is better; None for 18, where the encoder has such a scale."""

    preset: str | None = None
    """By the encoder's own name; None for its default."""

    deinterlace: bool = False
    """Whether interlaced frames are deinterlaced first."""

    hdr: bool = False
    """Whether clips with an HDR transfer are upscaled."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= MOST_CRF:
            raise ConfigError(f"--crf is {self.crf}: expected 0 to {MOST_CRF}")
        if not self.codec:
            raise ConfigError("--video-codec is empty: expected for example h264 or hevc")
