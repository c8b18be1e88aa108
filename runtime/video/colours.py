"""What a clip's numbers mean as colours, in the code points of ITU-T H.273."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import ImageReadError

UNSPECIFIED = 2
LIMITED, FULL = 1, 2
"""Of FFmpeg's colour range; 0 is unspecified."""

GBR = 0
BT709, SMPTE170M, BT470BG = 1, 6, 5
SRGB_TRANSFER = 13
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

SD_MOST_ROWS = 576
"""Untagged clips with more rows are taken for HD, as players do."""

MATRICES = {
    GBR: "gbr",
    BT709: "bt709",
    4: "fcc",
    BT470BG: "bt470bg",
    SMPTE170M: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
}
"""FFmpeg's names of those that its scaler knows."""

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
    """Tags of a clip, none of them unspecified."""

    primaries: int
    transfer: int
    matrix: int
    range: int
    """`LIMITED` or `FULL`."""

    @classmethod
    def of(
        cls, tags: Mapping[str, int], *, rows: int, is_rgb: bool, is_full: bool
    ) -> tuple[Colours, list[str]]:
        """What a clip says of itself, and what players take for granted where it says nothing.

        Args:
            tags: `primaries`, `transfer`, `matrix` and `range` as FFmpeg gives them.
            rows: the clip's height as it is stored.
            is_rgb: the samples are no YUV.
            is_full: the pixel format itself says that the range is full.

        Returns:
            The colours, and a note for people where something had to be guessed.
        """
        is_sd = rows <= SD_MOST_ROWS
        primaries = (BT470BG if rows == SD_MOST_ROWS else SMPTE170M) if is_sd else BT709
        guess = {
            "primaries": BT709 if is_rgb else primaries,
            "transfer": SRGB_TRANSFER if is_rgb else (SMPTE170M if is_sd else BT709),
            "matrix": GBR if is_rgb else (SMPTE170M if is_sd else BT709),
            "range": FULL if is_full or is_rgb else LIMITED,
        }
        # 0 is reserved, but for RGB's matrix; a YUV clip that claims it is mistaken.
        known = {
            name: value
            for name, value in tags.items()
            if value not in ((0,) if name == "range" else (0, UNSPECIFIED))
        }
        if is_rgb:
            known.pop("matrix", None)
        colours = cls(**(guess | known))
        untagged = not is_rgb and "matrix" not in known
        note = f"untagged colours were taken for {colours.name}, and the result says so"
        return colours, [note] if untagged else []

    @property
    def name(self) -> str:
        """For people."""
        return _NAMES.get(self.matrix, MATRICES.get(self.matrix, f"matrix {self.matrix}"))

    @property
    def hdr(self) -> str:
        """Which kind of HDR; empty for none."""
        return HDR_TRANSFERS.get(self.transfer, "")

    def for_yuv(self) -> Colours:
        """The colours of a result: the same, but RGB is written as BT.709 of limited range."""
        if self.matrix != GBR:
            return self
        return Colours(
            primaries=self.primaries, transfer=self.transfer, matrix=BT709, range=LIMITED
        )


def matrix_name(matrix: int, name: str) -> str:
    """FFmpeg's name of a matrix.

    Raises:
        ImageReadError: its scaler cannot convert from that one to RGB.
    """
    if matrix not in MATRICES:
        raise ImageReadError(
            f"{name}: its colour matrix is number {matrix} of ITU-T H.273, which cannot be "
            "converted: convert the clip to BT.709 or BT.2020 first"
        )
    return MATRICES[matrix]
