from __future__ import annotations

from typing import Any

import pytest

from calibration.options import MAX_HALO_PX, CalibrationOptions
from runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_drop_db": -0.1}, "max_drop_db is -0.1"),
        ({"max_seam_levels": 256}, "expected 0 to 255"),
        ({"max_seam_levels": -1}, "expected 0 to 255"),
        ({"max_halo_px": MAX_HALO_PX + 1}, f"expected 0 to {MAX_HALO_PX}"),
        ({"tiles": 0}, "at least one tile"),
        ({"held_out_tiles": 0}, "at least one tile"),
        ({"tile_px": 0}, "at least 1"),
    ],
)
def test_values_out_of_range(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CalibrationOptions(**values)


def test_the_ends_of_the_ranges() -> None:
    CalibrationOptions(max_drop_db=0, max_seam_levels=255, max_halo_px=MAX_HALO_PX, tile_px=1)
    CalibrationOptions(max_seam_levels=0, max_halo_px=0, tiles=1, held_out_tiles=1)
