"""Training pictures in device memory, where the crops are cut.

A crop is rows and columns of its picture, forwards or backwards. With all pictures' pixels in one
long row, pixel (y, x) of a crop is therefore

    first + y * down + x * right

for three whole numbers: those are drawn on the processor, the same as for crops that are cut
there (`dggn.data.crops`), and the device fetches the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dggn.data.crops import CropSampler, Window
from dggn.data.pairs import Pair
from dggn.model.config import SCALE
from runtime.errors import ConfigError

MEMORY_SHARE = 0.5
"""Maximum fraction of free device memory for pictures; training needs the rest."""


class ResidentPictures:
    """A sampler's pictures as bytes on a device, and the crops drawn from them.

    Args:
        sampler: draws the crops, one in a batch; bicubic, without scale jitter.
        patch_lr_px: side of an LR crop.
        device: keeps the pictures.

    Raises:
        ConfigError: the pictures do not fit into the device's memory.
        ImageReadError: a picture of a prepared set is missing or damaged.
    """

    def __init__(self, sampler: CropSampler, patch_lr_px: int, device: torch.device) -> None:
        self._sampler = sampler
        self._side = patch_lr_px
        areas = [height * width for height, width in (pair.size_lr_hw for pair in sampler.pairs)]
        _check_memory(3 * sum(areas) * (1 + SCALE**2), len(areas), device)
        self._widths = [pair.size_lr_hw[1] for pair in sampler.pairs]
        self._begins = np.concatenate(([0], np.cumsum(areas)[:-1])).tolist()
        self._lr = _row_of_pixels(sampler.pairs, areas, 1, device)
        self._hr = _row_of_pixels(sampler.pairs, areas, SCALE, device)

    def places(self, numbers: Sequence[int]) -> Tensor:
        """Return the positions of the crops with these numbers.

        Returns:
            (2, 3, N), int64, on the CPU: `first`, `down` and `right`, for LR and for HR.
        """
        windows = [window for number in numbers for window in self._sampler.windows(number)]
        places = [[self._position(one, scale) for one in windows] for scale in (1, SCALE)]
        return torch.tensor(places, dtype=torch.int64).transpose(1, 2).contiguous()

    def _position(self, window: Window, scale: int) -> tuple[int, int, int]:
        side, width = self._side * scale, self._widths[window.pair] * scale
        corner = self._begins[window.pair] * scale**2 + window.top * scale * width
        corner += window.left * scale
        # Of a crop that is not turned. Every turn's rows are the columns before it, from the right.
        first, down, right = corner, width, 1
        for _ in range(window.turns):
            first, down, right = first + (side - 1) * right, -right, down
        if window.mirrored:
            first, right = first + (side - 1) * right, -right
        return first, down, right

    def crops(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Cut crops.

        Args:
            places: (2, 3, N), int64, on the device of the pictures.

        Returns:
            LR crops (N, P, P, 3) and HR crops (N, 4P, 4P, 3), uint8 RGB, on that device.
        """
        lr, hr = places
        return _fetched(self._lr, lr, self._side), _fetched(self._hr, hr, self._side * SCALE)


def _fetched(pixels: Tensor, places: Tensor, side: int) -> Tensor:
    steps = torch.arange(side, device=pixels.device)
    first, down, right = places[..., None, None]
    index = first + down * steps[:, None] + right * steps
    return pixels.index_select(0, index.flatten()).view(*index.shape, 3)


def _row_of_pixels(
    pairs: Sequence[Pair], areas: Sequence[int], scale: int, device: torch.device
) -> Tensor:
    pixels = torch.empty((sum(areas) * scale**2, 3), dtype=torch.uint8, device=device)
    begin = 0
    for pair, area in zip(pairs, areas, strict=True):
        image: NDArray[np.uint8] = pair.lr_hwc if scale == 1 else pair.hr_hwc
        end = begin + area * scale**2
        # A copy: pictures of prepared sets are read-only, of which torch warns.
        pixels[begin:end] = torch.from_numpy(image.reshape(-1, 3).copy())
        begin = end
    return pixels


def _check_memory(needed_bytes: int, count: int, device: torch.device) -> None:
    if device.type != "cuda":
        return
    free_bytes = torch.cuda.mem_get_info(device)[0]
    if needed_bytes > MEMORY_SHARE * free_bytes:
        raise ConfigError(
            f"the {count} training pictures take {needed_bytes / 1e9:.1f} GB and {device} has "
            f"{free_bytes / 1e9:.1f} GB free, half of which may hold pictures: train without "
            "`resident`, or prepare sub-images that overlap less (`dggn-train prepare --step`)"
        )
