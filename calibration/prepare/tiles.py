"""Chooses the calibration tiles.

Ranges must come from everything a photograph holds, not from the sky that fills most of it.
Tiles are therefore drawn in equal parts from four kinds of content, told apart by the gradient
magnitude (Eq. 5 of the paper, without its delta) and by brightness. Nothing is random: the same
pictures give the same tiles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dggn.data.pairs import Pair
from runtime.errors import ConfigError
from runtime.system.path_text import path_text

Content = Literal["dark", "edge", "flat", "texture"]
CONTENTS: tuple[Content, ...] = get_args(Content)

DARK_SHARE = 0.1
"""Fraction of tiles classified as dark, whatever their content."""

EDGE_SHARE = 0.25
"""Fraction of the remaining tiles classified as edges: high gradient peaks over a low mean."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A square of an LR picture."""

    picture: str
    """File name of the picture."""

    top_px: int
    """Distance from the top of the LR picture."""

    left_px: int
    """Distance from the left side of the LR picture."""

    image_hwc: NDArray[np.uint8] = field(repr=False, compare=False)
    """(P, P, 3), RGB."""


@dataclass(frozen=True, kw_only=True)
class Tile(Spot):
    """A selected square."""

    content: Content
    """Kind of content."""

    def to_mapping(self) -> dict[str, Any]:
        """Return its entry for a manifest."""
        return {
            "picture": path_text(self.picture),
            "top_px": self.top_px,
            "left_px": self.left_px,
            "content": self.content,
            "sha256": hashlib.sha256(self.image_hwc.tobytes()).hexdigest(),
        }


def manifest(tiles: Sequence[Tile]) -> dict[str, Any]:
    """List tiles with one hash over all of them, including pixels."""
    entries = [tile.to_mapping() for tile in tiles]
    text = json.dumps(entries, sort_keys=True)
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "tiles": entries}


def sample_tiles(pairs: Sequence[Pair], *, count: int, tile_px: int) -> list[Tile]:
    """Select tiles of all four contents, in equal numbers as far as possible.

    Args:
        pairs: pictures; their LR sides are cut into a grid of tiles.
        count: number of tiles to select.
        tile_px: their side in LR pixels.

    Returns:
        At most `count` tiles, in the order of the pictures.

    Raises:
        ConfigError: a picture is smaller than a tile.
    """
    spots = [spot for pair in pairs for spot in _grid(pair, tile_px)]
    kinds = _classified([spot.image_hwc for spot in spots])
    chosen: dict[int, Content] = {}
    left = count
    # The rarest first, so that what it lacks goes to the others.
    for number, content in enumerate(sorted(CONTENTS, key=lambda kind: len(kinds[kind]))):
        wanted = min(left // (len(CONTENTS) - number), len(kinds[content]))
        chosen |= dict.fromkeys(_evenly(kinds[content], wanted), content)
        left -= wanted
    return [Tile(**vars(spots[index]), content=chosen[index]) for index in sorted(chosen)]


def _grid(pair: Pair, tile_px: int) -> list[Spot]:
    height, width = pair.lr_hwc.shape[:2]
    if min(height, width) < tile_px:
        high, wide = pair.hr_hwc.shape[:2]
        raise ConfigError(
            f"{pair.name} is {wide}x{high} px, smaller than a tile, which covers "
            f"{4 * tile_px}x{4 * tile_px} px before the reduction: remove it or lower --tile"
        )
    return [
        Spot(
            picture=pair.name,
            top_px=top,
            left_px=left,
            image_hwc=np.ascontiguousarray(pair.lr_hwc[top : top + tile_px, left : left + tile_px]),
        )
        for top in range(0, height - tile_px + 1, tile_px)
        for left in range(0, width - tile_px + 1, tile_px)
    ]


def _classified(images: Sequence[NDArray[np.uint8]]) -> dict[Content, list[int]]:
    """Return indices of the images by content, each sorted by mean gradient."""
    magnitudes = [gradient_magnitude(image_hwc) for image_hwc in images]
    means = np.array([magnitude.mean() for magnitude in magnitudes])
    peaks = np.array([np.percentile(magnitude, 99) for magnitude in magnitudes])
    brightness = np.array([image_hwc.mean() for image_hwc in images])
    order = np.argsort(brightness, kind="stable")
    darkest = round(DARK_SHARE * len(images))
    dark, others = order[:darkest], np.sort(order[darkest:])
    # A strong edge through an even area: a high peak over a low mean.
    contrast = peaks[others] * peaks[others] / (means[others] + 1)
    order = others[np.argsort(-contrast, kind="stable")]
    sharpest = round(EDGE_SHARE * len(others))
    edge, rest = order[:sharpest], np.sort(order[sharpest:])
    rest = rest[np.argsort(means[rest], kind="stable")]
    half = len(rest) // 2
    kinds: dict[Content, NDArray[np.int64]] = {
        "dark": dark,
        "edge": edge,
        "flat": rest[:half],
        "texture": rest[half:],
    }
    return {
        kind: [int(index) for index in indices[np.argsort(means[indices], kind="stable")]]
        for kind, indices in kinds.items()
    }


def gradient_magnitude(image_hwc: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the gradient magnitude (Eq. 5) of each colour channel, borders replicated.

    Args:
        image_hwc: (H, W, 3), uint8.

    Returns:
        (H, W, 3), in grey levels.
    """
    padded = np.pad(image_hwc.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    along_x = padded[1:-1, 2:] - padded[1:-1, :-2]
    along_y = padded[2:, 1:-1] - padded[:-2, 1:-1]
    magnitude: NDArray[np.float64] = np.hypot(along_x, along_y)
    return magnitude


def _evenly(indices: Sequence[int], count: int) -> list[int]:
    """Pick `count` of the indices, evenly spaced from first to last."""
    places = np.linspace(0, len(indices) - 1, count).round()
    return [indices[int(place)] for place in places]
