"""The kept parts of tiles partition the picture, and equal the whole picture's result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver
from runtime.tiles.plan import LADDER_STEPS, TilePlan, default_tile_px
from runtime.tiles.stitch import upscale_in_tiles

INFO = ModelInfo(
    preset="custom",
    scale=2,
    sample_type="float32",
    size_multiple_px=4,
    halo_px=4,
    origin="test",
)


@dataclass
class LocalMean:
    """A backend whose every output pixel depends on a neighbourhood of `radius` LR pixels."""

    radius: int
    uniform_tiles: bool = False
    largest_tile_px: int | None = None
    precision = "float32"
    info: ModelInfo = INFO
    description: str = "a local mean"
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        self.shapes.add(tile_hwc.shape)
        r = self.radius
        padded = np.pad(tile_hwc.astype(np.int64), ((r, r), (r, r), (0, 0)), mode="edge")
        height, width = tile_hwc.shape[:2]
        total = sum(
            padded[dy : dy + height, dx : dx + width]
            for dy in range(2 * r + 1)
            for dx in range(2 * r + 1)
        )
        mean = np.asarray(total) // (2 * r + 1) ** 2
        result = mean.repeat(2, axis=0).repeat(2, axis=1).astype(tile_hwc.dtype)
        self.waiting.append(partial(deliver, result))

    def finish(self) -> None:
        """Deliver all, the last first."""
        while self.waiting:
            self.waiting.pop()()

    def cancel(self) -> None: ...

    def __enter__(self) -> LocalMean:
        return self

    def __exit__(self, *exception: object) -> None: ...


sizes = st.integers(1, 90)
overlaps = st.sampled_from([0, 4, 8])
tile_sizes = st.sampled_from([20, 24, 32, 64])


@given(height=sizes, width=sizes, tile_size=tile_sizes, overlap=overlaps, uniform=st.booleans())
def test_kept_parts_partition_the_picture(
    height: int, width: int, tile_size: int, overlap: int, uniform: bool
) -> None:
    plan = TilePlan.of(
        (height, width), tile_size=tile_size, overlap=overlap, multiple=4, uniform=uniform
    )
    covered = np.zeros((height, width), int)
    for tile in plan:
        covered[tile.kept_of_output(1)] += 1
        kept = tile.kept_of_result(1)
        assert covered[tile.kept_of_output(1)].shape == tuple(
            part.stop - part.start for part in kept
        )
    assert (covered == 1).all()


@given(height=sizes, width=sizes, tile_size=tile_sizes, overlap=overlaps, uniform=st.booleans())
def test_tiles_have_few_shapes_on_the_grid_and_inside(
    height: int, width: int, tile_size: int, overlap: int, uniform: bool
) -> None:
    plan = TilePlan.of(
        (height, width), tile_size=tile_size, overlap=overlap, multiple=4, uniform=uniform
    )
    for spans, padded in zip((plan.rows, plan.columns), plan.padded_hw, strict=True):
        lengths = [len(span) for span in spans]
        if uniform and padded > tile_size:
            assert set(lengths[:-1]) <= {tile_size}
            assert lengths[-1] in ladder(tile_size, 4)
        else:
            assert len(set(lengths)) == 1
        for span in spans:
            assert len(span) <= tile_size
            assert span.start % 4 == len(span) % 4 == 0
            assert 0 <= span.start < span.stop <= padded


def ladder(tile_size: int, multiple: int) -> set[int]:
    """Lengths of tiles that pictures of all sizes share."""
    shares = (tile_size * number / LADDER_STEPS for number in range(1, LADDER_STEPS + 1))
    return {math.ceil(share / multiple) * multiple for share in shares}


@given(height=st.integers(257, 6000), width=st.integers(257, 6000))
def test_alike_shapes_waste_little_more_than_the_best(height: int, width: int) -> None:
    """For any picture larger than a tile, with the defaults of the shipped models."""
    size = {"tile_size": 256, "overlap": 16, "multiple": 8}
    alike = TilePlan.of((height, width), uniform=True, **size)
    assert len({(len(tile.rows), len(tile.columns)) for tile in alike}) <= 4
    # On an axis: contexts, the ladder's step and the model's multiple.
    for spans, length in zip((alike.rows, alike.columns), (height, width), strict=True):
        contexts = 2 * 16 * (len(spans) - 1)
        assert sum(map(len, spans)) <= length + contexts + 256 // LADDER_STEPS + 8


@pytest.mark.parametrize(
    ("size_hw", "most"),
    [
        ((768, 1024), 1.30),
        ((3000, 4000), 1.34),
        ((2832, 4248), 1.34),
        ((3464, 3464), 1.34),
        ((2000, 6000), 1.34),
    ],
)
def test_waste_of_alike_shapes(size_hw: tuple[int, int], most: float) -> None:
    plan = TilePlan.of(size_hw, tile_size=256, overlap=16, multiple=8, uniform=True)
    assert plan.waste <= most


@given(height=sizes, width=sizes, tile_size=tile_sizes, overlap=overlaps, uniform=st.booleans())
def test_kept_pixels_are_an_overlap_away_from_inner_tile_edges(
    height: int, width: int, tile_size: int, overlap: int, uniform: bool
) -> None:
    plan = TilePlan.of(
        (height, width), tile_size=tile_size, overlap=overlap, multiple=4, uniform=uniform
    )
    for spans, padded in zip((plan.rows, plan.columns), plan.padded_hw, strict=True):
        for span in spans:
            assert span.start == 0 or span.keep_start - span.start >= overlap
            assert span.stop == padded or span.stop - span.keep_stop >= overlap


@given(height=sizes, width=sizes, tile_size=tile_sizes, data=st.data())
def test_an_identity_gives_the_whole_picture(
    height: int, width: int, tile_size: int, data: st.DataObject
) -> None:
    overlap = data.draw(overlaps)
    picture = np.random.default_rng(0).integers(0, 65536, (height, width, 3), np.uint16)
    result = upscale_in_tiles(picture, LocalMean(0), tile_size=tile_size, overlap=overlap)
    np.testing.assert_array_equal(result, picture.repeat(2, axis=0).repeat(2, axis=1))


@given(height=sizes, width=sizes, tile_size=tile_sizes, uniform=st.booleans())
def test_a_local_filter_gives_the_whole_picture_through_tiles(
    height: int, width: int, tile_size: int, uniform: bool
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    backend = LocalMean(radius=3, uniform_tiles=uniform)
    tiled = upscale_in_tiles(picture, backend, tile_size=tile_size, overlap=4)
    whole = upscale_in_tiles(picture, LocalMean(radius=3), tile_size=1024, overlap=4)
    np.testing.assert_array_equal(tiled, whole)
    assert len(backend.shapes) <= (4 if uniform else 1)


def test_too_little_overlap_shows() -> None:
    """Show that the test above can fail, with less overlap than the filter's radius."""
    picture = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    tiled = upscale_in_tiles(picture, LocalMean(radius=6), tile_size=24, overlap=4)
    whole = upscale_in_tiles(picture, LocalMean(radius=6), tile_size=1024, overlap=4)
    assert (tiled != whole).any()


@pytest.mark.parametrize("size_hw", [(3000, 4000), (2832, 4248), (3464, 3464), (2000, 6000)])
def test_waste_on_a_12_megapixel_photograph(size_hw: tuple[int, int]) -> None:

    plan = TilePlan.of(size_hw, tile_size=default_tile_px(16), overlap=16, multiple=8)
    assert plan.waste <= 1.35


@pytest.mark.parametrize(
    ("halo_px", "tile_px"), [(0, 256), (16, 256), (37, 256), (38, 512), (56, 512), (64, 512)]
)
def test_tiles_grow_with_their_context(halo_px: int, tile_px: int) -> None:
    assert default_tile_px(halo_px) == tile_px


@given(halo_px=st.integers(0, 512))
def test_half_of_a_default_tile_is_kept(halo_px: int) -> None:
    tile_px = default_tile_px(halo_px)
    kept = tile_px - 2 * halo_px
    assert kept > 0
    assert kept**2 >= tile_px**2 / 2


def test_progress_ends_at_the_whole_picture() -> None:
    shares: list[float] = []
    picture = np.zeros((50, 50, 3), np.uint8)
    upscale_in_tiles(picture, LocalMean(0), tile_size=20, overlap=4, on_tile=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("tile_size", "overlap", "message"),
    [
        (30, 4, "tile size is 30: this model needs a multiple of 4 above 8"),
        (16, 8, "tile size is 16: this model needs a multiple of 4 above 16"),
        (32, 3, "overlap is 3: this model needs a multiple of 4"),
        (32, -4, "overlap is -4"),
        (0, 0, "tile size is 0"),
    ],
)
def test_impossible_tilings_are_refused(tile_size: int, overlap: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TilePlan.of((10, 10), tile_size=tile_size, overlap=overlap, multiple=4)
