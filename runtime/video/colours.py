"""Colour tags of videos, in the code points of ITU-T H.273."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import ImageReadError

UNSPECIFIED = 2
LIMITED, FULL = 1, 2
"""FFmpeg's colour ranges; 0 is unspecified."""

GBR = 0
BT709, SMPTE170M, BT470BG = 1, 6, 5
SRGB_TRANSFER = 13
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

SD_MOST_ROWS = 576
"""Untagged videos with more rows are treated as HD, as players do."""

MATRICES = {
    GBR: "gbr",
    BT709: "bt709",
    4: "fcc",
    BT470BG: "bt470bg",
    SMPTE170M: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
}
"""Names of the matrices that FFmpeg's scaler supports."""

_NAMES = {
    0: "RGB",
    1: "BT.709",
    5: "BT.601 (625)",
    6: "BT.601 (525)",
    9: "BT.2020",
    12: "Display P3",
}


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Colour tags of a video, all of them specified."""

    primaries: int
    transfer: int
    matrix: int
    range: int
    """`LIMITED` or `FULL`."""

    @classmethod
    def of(
        cls, tags: Mapping[str, int], *, rows: int, is_rgb: bool, is_full: bool
    ) -> tuple[Colours, list[str]]:
        """Complete a video's tags with the defaults that players use.

        Args:
            tags: `primaries`, `transfer`, `matrix` and `range` as FFmpeg gives them.
            rows: stored height of the video.
            is_rgb: whether the samples are RGB instead of YUV.
            is_full: whether the pixel format itself implies full range.

        Returns:
            The colours, and a note if the matrix was guessed.
        """
        is_sd = rows <= SD_MOST_ROWS
        primaries = (BT470BG if rows == SD_MOST_ROWS else SMPTE170M) if is_sd else BT709
        guess = {
            "primaries": BT709 if is_rgb else primaries,
            "transfer": SRGB_TRANSFER if is_rgb else (SMPTE170M if is_sd else BT709),
            "matrix": GBR if is_rgb else (SMPTE170M if is_sd else BT709),
            "range": FULL if is_full or is_rgb else LIMITED,
        }
        # 0 is reserved except for the matrix of RGB, which makes no sense for YUV.
        known = {
            name: value
            for name, value in tags.items()
            if value not in ((0,) if name == "range" else (0, UNSPECIFIED))
        }
        if is_rgb:
            known.pop("matrix", None)
        colours = cls(**(guess | known))
        untagged = not is_rgb and "matrix" not in known
        note = f"untagged colours were treated as {colours.name}, and the result is tagged so"
        return colours, [note] if untagged else []

    @property
    def name(self) -> str:
        """Human-readable name."""
        return _NAMES.get(self.matrix, MATRICES.get(self.matrix, f"matrix {self.matrix}"))

    @property
    def hdr(self) -> str:
        """Name of the HDR transfer function; empty for SDR."""
        return HDR_TRANSFERS.get(self.transfer, "")

    def for_yuv(self) -> Colours:
        """Return the colours of a YUV result: RGB becomes limited-range BT.709."""
        if self.matrix != GBR:
            return self
        return Colours(
            primaries=self.primaries, transfer=self.transfer, matrix=BT709, range=LIMITED
        )


def matrix_name(matrix: int, name: str) -> str:
    """Return FFmpeg's name of a matrix.

    Raises:
        ImageReadError: FFmpeg's scaler does not support it.
    """
    if matrix not in MATRICES:
        raise ImageReadError(
            f"{name}: its colour matrix is number {matrix} of ITU-T H.273, which cannot be "
            "converted: convert the clip to BT.709 or BT.2020 first"
        )
    return MATRICES[matrix]
