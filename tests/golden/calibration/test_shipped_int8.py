"""The shipped INT8 model is as docs/calibration.md describes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from calibration.search.measure import half_black_half_noise, mean_psnr_db
from dggn.data.pairs import read_pairs
from runtime.model.info import model_path
from runtime.upscaler import Upscaler

VALIDATION = Path(__file__).parents[3].parent / "shared" / "data" / "val"

LARGEST_SEAM = 1
MAX_DROP_DB = 0.1


@pytest.mark.parametrize("tile_size", [128, 160, 256])
def test_the_seam_bound(tile_size: int) -> None:
    image = half_black_half_noise(tile_size + 40)
    with Upscaler("dggn-lite", precision="int8", tile_size=1 << 12) as upscaler:
        whole = upscaler(image).astype(int)
    with Upscaler("dggn-lite", precision="int8", tile_size=tile_size) as upscaler:
        tiled = upscaler(image).astype(int)
    levels, counts = np.unique(np.abs(tiled - whole), return_counts=True)
    histogram = dict(zip(levels.tolist(), counts.tolist(), strict=True))
    assert max(histogram) <= LARGEST_SEAM, f"differences in grey levels {histogram}"


def test_float32_s_overlap_would_not_do() -> None:
    """Show that the test above can fail."""
    image = half_black_half_noise(168)
    with Upscaler("dggn-lite", precision="int8") as upscaler:
        whole = upscaler(image).astype(int)
    with Upscaler("dggn-lite", precision="int8", tile_size=128, overlap=16) as upscaler:
        assert np.abs(upscaler(image) - whole).max() > LARGEST_SEAM


@pytest.mark.skipif(not VALIDATION.is_dir(), reason="needs the validation pictures")
def test_the_fidelity_gate() -> None:
    pairs = read_pairs([VALIDATION])[::4]
    plain, quick = (
        mean_psnr_db(model_path("dggn-lite", precision), pairs) for precision in ("float32", "int8")
    )
    assert plain - quick <= MAX_DROP_DB
