"""Fits tiles of any size to an engine's supported range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.tiles.backend import Deliver
from runtime.tiles.stitch import submit_in_tiles

Submit = Callable[[Samples, Deliver], None]


class Limits(Protocol):
    """What an engine takes."""

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""

    @property
    def tile_px(self) -> int:
        """Largest height and width of a tile, in LR pixels."""

    @property
    def least_px(self) -> int:
        """Smallest height and width of a tile."""


def submit_fitted(tile_hwc: Samples, deliver: Deliver, submit: Submit, facts: Limits) -> None:
    """Submit a tile to an engine: as it is, split, or padded.

    Args:
        tile_hwc: (H, W, 3); H and W multiples of the model's size multiple.
        deliver: receives its result.
        submit: accepts tiles that fit the engine.
        facts: limits of the engine.
    """
    if max(tile_hwc.shape[:2]) > facts.tile_px:
        submit_in_tiles(
            tile_hwc,
            _Parts(facts.info, lambda part, take: _submit_padded(part, take, submit, facts)),
            deliver,
            tile_size=facts.tile_px,
            overlap=facts.info.halo_px,
        )
    else:
        _submit_padded(tile_hwc, deliver, submit, facts)


def _submit_padded(tile_hwc: Samples, deliver: Deliver, submit: Submit, facts: Limits) -> None:
    height, width = tile_hwc.shape[:2]
    least, scale = facts.least_px, facts.info.scale
    if min(height, width) >= least:
        submit(tile_hwc, deliver)
        return
    missing = (0, max(0, least - height)), (0, max(0, least - width)), (0, 0)

    def cut(result: Samples) -> None:
        deliver(result[: height * scale, : width * scale])

    submit(np.pad(tile_hwc, missing, mode="edge"), cut)


class _Parts:
    """Collector for the parts of a tile too large for the engine."""

    uniform_tiles = True

    def __init__(self, info: ModelInfo, submit: Submit) -> None:
        self.info = info
        self.submit = submit
