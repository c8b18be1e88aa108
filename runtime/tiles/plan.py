"""Tile planning for all backends: where tiles lie, and which part of each is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.errors import ConfigError

LEAST_DEFAULT_TILE_PX = 256
"""Default tile size in LR pixels, overlap included; see docs/tiling.md for the choice."""

LADDER_STEPS = 8
"""Lengths that a last row or column of tiles can have where shapes are alike for all pictures."""


@dataclass(frozen=True)
class Span:
    """A tile's extent along one axis, in LR pixels of the padded picture."""

    start: int
    """First pixel fed to the network."""

    stop: int
    """End of the fed pixels, exclusive."""

    keep_start: int
    """First pixel whose result is kept."""

    keep_stop: int
    """End of the kept pixels, exclusive."""

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def fed(self) -> slice:
        """Position of the tile in the padded picture."""
        return slice(self.start, self.stop)

    def kept_of_result(self, scale: int) -> slice:
        """Return the kept part, in pixels of the tile's result."""
        return slice((self.keep_start - self.start) * scale, (self.keep_stop - self.start) * scale)

    def kept_of_output(self, scale: int) -> slice:
        """Return the destination of the kept part, in pixels of the whole output."""
        return slice(self.keep_start * scale, self.keep_stop * scale)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the padded picture, and the part of its result that is kept."""

    rows: Span
    columns: Span

    @property
    def fed(self) -> tuple[slice, slice]:
        """Rows and columns of the padded picture that the network sees."""
        return self.rows.fed, self.columns.fed

    def kept_of_result(self, scale: int) -> tuple[slice, slice]:
        """Return the rows and columns of the tile's result that are kept."""
        return self.rows.kept_of_result(scale), self.columns.kept_of_result(scale)

    def kept_of_output(self, scale: int) -> tuple[slice, slice]:
        """Return the rows and columns of the whole output that they fill."""
        return self.rows.kept_of_output(scale), self.columns.kept_of_output(scale)


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """The tiles of one picture.

    Tiles of a picture have one shape, the smallest that needs no more tiles than the largest one
    allowed. Where shapes are to be alike for all pictures, tiles are of the largest size, but for
    the last row and column, which are as short as one of `LADDER_STEPS` lengths allows: at most
    four shapes. Tiles at the far edges are shifted inwards instead of padded. Origins lie on
    multiples of the model's size multiple, where its pooling grid is the picture's. The kept parts
    partition the picture.
    """

    size_hw: tuple[int, int]
    """LR height and width of the picture."""

    padded_hw: tuple[int, int]
    """Size after padding at the bottom and right to the model's size multiple."""

    tile_hw: tuple[int, int]
    """LR height and width of the largest tile."""

    rows: tuple[Span, ...]
    """Vertical extents, top to bottom."""

    columns: tuple[Span, ...]
    """Horizontal extents, left to right."""

    @classmethod
    def of(
        cls,
        size_hw: tuple[int, int],
        *,
        tile_size: int,
        overlap: int,
        multiple: int,
        uniform: bool = False,
    ) -> TilePlan:
        """Plan a picture.

        Args:
            size_hw: its LR height and width, at least 1 each.
            tile_size: longest side of a tile fed to the network, overlap included.
            overlap: LR pixels of context at each inner side of a tile.
            multiple: sizes and origins are multiples of this.
            uniform: use few shapes, alike for all pictures.

        Raises:
            ConfigError: the tile size or overlap does not fit the multiple or each other.
        """
        check_tiling(tile_size=tile_size, overlap=overlap, multiple=multiple)
        height, width = (-(-size // multiple) * multiple for size in size_hw)
        cut = _alike if uniform else _even
        rows, columns = (
            _spans(size, cut(padded, tile_size, overlap, multiple), overlap, padded)
            for size, padded in zip(size_hw, (height, width), strict=True)
        )
        return cls(
            size_hw=size_hw,
            padded_hw=(height, width),
            tile_hw=(len(rows[0]), len(columns[0])),
            rows=rows,
            columns=columns,
        )

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Tile]:
        """Yield tiles from the top left, row by row."""
        for rows in self.rows:
            for columns in self.columns:
                yield Tile(rows, columns)

    @property
    def waste(self) -> float:
        """Ratio of pixels computed to pixels delivered."""
        computed = sum(map(len, self.rows)) * sum(map(len, self.columns))
        return computed / (self.size_hw[0] * self.size_hw[1])


def default_tile_px(halo_px: int) -> int:
    """Return the default tile size: larger for models with more context.

    Args:
        halo_px: LR pixels of context per side.

    Returns:
        The smallest power of two from `LEAST_DEFAULT_TILE_PX` on of which at least half the
        pixels are kept.
    """
    tile_px = LEAST_DEFAULT_TILE_PX
    while tile_px <= 2 * halo_px or 2 * (tile_px - 2 * halo_px) ** 2 < tile_px**2:
        tile_px *= 2
    return tile_px


def check_tiling(*, tile_size: int, overlap: int, multiple: int) -> None:
    """Check that tile size and overlap are possible.

    Raises:
        ConfigError: the tile size or overlap does not fit the multiple or each other.
    """
    if overlap < 0 or overlap % multiple:
        raise ConfigError(f"overlap is {overlap}: this model needs a multiple of {multiple}")
    if tile_size % multiple or tile_size <= 2 * overlap:
        raise ConfigError(
            f"tile size is {tile_size}: this model needs a multiple of {multiple} above "
            f"{2 * overlap}, twice the overlap"
        )


def _even(padded: int, tile_size: int, overlap: int, multiple: int) -> list[int]:
    """Return the shortest equal tiles that cover an axis with as few tiles as `tile_size`."""
    if padded <= tile_size:
        return [padded]
    count = -(-(padded - 2 * overlap) // (tile_size - 2 * overlap))
    covered = padded + 2 * overlap * (count - 1)
    return [-(-covered // (count * multiple)) * multiple] * count


def _alike(padded: int, tile_size: int, overlap: int, multiple: int) -> list[int]:
    """Return tiles of `tile_size` for an axis, the last one as short as the ladder allows."""
    if padded <= tile_size:
        return [padded]
    step = tile_size - 2 * overlap
    count = (padded - 2 * overlap) // step
    rest = padded - count * step  # what is left for a last tile, its context included
    if rest == 2 * overlap:
        return [tile_size] * count
    ladder = (
        -(-tile_size * number // (LADDER_STEPS * multiple)) * multiple
        for number in range(1, LADDER_STEPS + 1)
    )
    return [*[tile_size] * count, next(length for length in ladder if length >= rest)]


def _spans(size: int, lengths: list[int], overlap: int, padded: int) -> tuple[Span, ...]:
    """Tiles of given lengths along an axis; the last one ends where the axis does."""
    starts = [0]
    for length in lengths[:-1]:
        starts.append(starts[-1] + length - 2 * overlap)
    starts[-1] = padded - lengths[-1]
    # Where the last tile was shifted inwards, its neighbour keeps what it already covers.
    cuts = [
        start + length - overlap for start, length in zip(starts[:-1], lengths[:-1], strict=True)
    ]
    return tuple(
        Span(start, start + length, keep_start, keep_stop)
        for start, length, keep_start, keep_stop in zip(
            starts, lengths, [0, *cuts], [*cuts, size], strict=True
        )
    )
