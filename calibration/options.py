"""Settings of a calibration."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.observe.ranges import Method
from calibration.prepare.source import Target
from runtime.errors import ConfigError

MAX_HALO_PX = 512


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """Settings of a calibration.

    Raises:
        ConfigError: a value is out of range.
    """

    target: Target = "cpu"
    """Target platform: ONNX Runtime on CPUs, or TensorRT."""

    method: Method = "percentile"
    """Method of choosing activation ranges."""

    max_drop_db: float = 0.1
    """Maximum drop of the mean PSNR against HR (dB, Y channel)."""

    max_seam_levels: int = 1
    """Maximum tiled/untiled difference, in 8-bit levels."""

    max_halo_px: int = 64
    """Largest overlap to try at each side of a tile, in LR pixels."""

    tiles: int = 64
    """Number of calibration tiles."""

    held_out_tiles: int = 12
    """Number of tiles for measuring the cost of each layer."""

    tile_px: int = 48
    """Side of a tile in LR pixels."""

    keep_float: tuple[str, ...] = ()
    """Layers whose names start with one of these stay in float."""

    def __post_init__(self) -> None:
        if self.max_drop_db < 0:
            raise ConfigError(f"max_drop_db is {self.max_drop_db:g}: it must not be negative")
        if not 0 <= self.max_seam_levels <= 255:
            raise ConfigError(f"max_seam_levels is {self.max_seam_levels}: expected 0 to 255")
        if not 0 <= self.max_halo_px <= MAX_HALO_PX:
            raise ConfigError(f"max_halo_px is {self.max_halo_px}: expected 0 to {MAX_HALO_PX}")
        if min(self.tiles, self.held_out_tiles) < 1:
            raise ConfigError("there must be at least one tile and one held-out tile")
        if self.tile_px < 1:
            raise ConfigError(f"tile_px is {self.tile_px}: it must be at least 1")
