from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.backends.trt.engine_facts import Verification
from runtime.backends.trt.verify import (
    IDENTICAL_DB,
    run_all,
    verification_failure,
    verification_tiles,
    verify,
    verify_with,
)
from runtime.errors import BackendError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo, SampleType
from runtime.tiles.backend import Deliver


class Enlarger:
    """Repeats pixels, with given errors. Delivers late and out of order, like devices."""

    description = "a test"
    uniform_tiles = False
    largest_tile_px: int | None = None
    precision = "float32"

    def __init__(
        self,
        sample_type: SampleType = "uint8",
        *,
        error: Any = None,
        forgets: bool = False,
        multiple: int = 8,
    ) -> None:
        self.info = ModelInfo(
            preset="custom",
            scale=4,
            sample_type=sample_type,
            size_multiple_px=multiple,
            halo_px=0,
            origin="a test",
        )
        self._error = error
        self._forgets = forgets
        self._waiting: list[tuple[Samples, Deliver]] = []
        self.closed = False

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        self._waiting.append((tile_hwc, deliver))

    def finish(self) -> None:
        scratch: Samples | None = None
        for tile, deliver in reversed(self._waiting[self._forgets :]):
            result = tile.repeat(4, axis=0).repeat(4, axis=1)
            if self._error is not None:
                result = self._error(result)
            # One buffer for all results: results not copied are lost.
            scratch = result
            deliver(scratch)
            scratch.fill(0)
        self._waiting.clear()

    def cancel(self) -> None:
        pass

    def __enter__(self) -> Enlarger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True


def shift(levels: int, every: int = 1) -> Any:
    def apply(result: Samples) -> Samples:
        flat = result.astype(np.int64).ravel()
        scale = 257 if result.dtype == np.uint16 else 1
        peak = np.iinfo(result.dtype).max
        flat[::every] += np.where(flat[::every] > peak // 2, -levels, levels) * scale
        return flat.reshape(result.shape).astype(result.dtype)

    return apply


@pytest.mark.parametrize("sample_type", ["uint8", "float32"])
def test_equal_results(sample_type: SampleType) -> None:
    engine, reference = Enlarger(sample_type), Enlarger(sample_type)
    found = verify_with(engine, lambda: reference, 64)
    assert found.psnr_db == IDENTICAL_DB
    assert found.within_one_level == 1.0
    assert found.largest_difference == 0
    assert reference.closed
    assert not engine.closed
    assert verification_failure(found, "fp16") is None


@pytest.mark.parametrize("sample_type", ["uint8", "float32"])
def test_one_level_everywhere_is_48_db(sample_type: SampleType) -> None:
    tiles = verification_tiles(Enlarger(sample_type).info, 64)
    found = verify(Enlarger(sample_type, error=shift(1)), Enlarger(sample_type), tiles)
    assert found.psnr_db == pytest.approx(20 * np.log10(255))
    assert found.within_one_level == 1.0
    assert found.largest_difference == pytest.approx(1)
    reason = verification_failure(found, "fp16")
    assert reason is not None
    assert "48.1 dB" in reason
    assert "50 dB" in reason
    assert verification_failure(found, "int8") is None


def test_a_single_wild_value_is_seen() -> None:
    """A NaN that a cast turned into a number hardly changes the PSNR."""
    tiles = verification_tiles(Enlarger().info, 64)
    found = verify(Enlarger(error=shift(100, every=20_000)), Enlarger(), tiles)
    assert found.psnr_db > 50
    reason = verification_failure(found, "fp16")
    assert reason is not None
    assert "up to 100 grey levels" in reason


def test_a_forgotten_tile_is_an_error() -> None:
    tiles = verification_tiles(Enlarger().info, 64)
    with pytest.raises(BackendError, match="4 tiles were submitted and 3 were returned"):
        run_all(Enlarger(forgets=True), tiles)


def test_another_shape_is_an_error() -> None:
    tiles = verification_tiles(Enlarger().info, 64)
    with pytest.raises(BackendError, match=r"the engine makes uint8\[255, .*expected uint8\[256"):
        verify(Enlarger(error=lambda result: result[1:]), Enlarger(), tiles)


@pytest.mark.parametrize("tile_px", [8, 64, 4096])
def test_tiles_fit_the_engine(tile_px: int) -> None:
    tiles = verification_tiles(Enlarger().info, tile_px)
    shapes = {tile.shape for tile in tiles}
    assert all(side % 8 == 0 and 0 < side <= tile_px for shape in shapes for side in shape[:2])
    assert len(shapes) == (1 if tile_px == 8 else 3)
    assert all(tile.dtype == np.uint8 for tile in tiles)
    # Textured pictures, not flat areas.
    assert all(tile.std() > 5 for tile in tiles)


def test_16_bit_tiles_use_their_whole_range() -> None:
    bytes_ = verification_tiles(Enlarger("uint8").info, 64)
    deep = verification_tiles(Enlarger("float32").info, 64)
    for one, other in zip(bytes_, deep, strict=True):
        assert other.dtype == np.uint16
        np.testing.assert_array_equal(other, one.astype(np.uint16) * 257)


def test_a_tile_below_the_models_multiple() -> None:
    with pytest.raises(BackendError, match="a tile of 8 px is less than the model's 64 px"):
        verification_tiles(Enlarger(multiple=64).info, 8)


def test_verifications_have_bounds() -> None:
    from runtime.errors import ModelError

    with pytest.raises(ModelError, match="psnr_db is nan"):
        Verification(psnr_db=float("nan"), within_one_level=1, largest_difference=0, samples=1)
