"""Batches of crops on the training device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dggn.data.crops import CropSampler
from dggn.data.pairs import Pair
from dggn.data.prefetch import Prefetcher
from dggn.training.config import DataConfig
from dggn.training.parallel import ProcessContext
from dggn.training.resident import ResidentPictures
from runtime.errors import ConfigError


class Batches:
    """The batches of a run by number; each process gets its own crops.

    Crop `i` of batch `b` depends on the seed and on `b * batch_size + i` alone: a resumed run
    goes on with the very crops that it would have seen, and several processes see together
    what one alone would.

    Args:
        config: the crops.
        seed: seed of the run.
        pairs: pairs to crop.
        process: device and rank of the process.
        workers: loader threads.

    Raises:
        ConfigError: no picture holds a crop, the processes cannot share a batch evenly, or the
            pictures do not fit into the device's memory.
        ImageReadError: a picture that is to stay on the device is missing or damaged.
    """

    def __init__(
        self,
        config: DataConfig,
        seed: int,
        pairs: Sequence[Pair],
        process: ProcessContext,
        workers: int,
    ) -> None:
        if config.batch_size % process.count:
            raise ConfigError(
                f"batch_size is {config.batch_size}: {process.count} processes cannot share it "
                "evenly; make it a multiple"
            )
        self._sampler = CropSampler(
            pairs,
            batch_size=1,
            patch_lr_px=config.patch_lr_px,
            seed=seed,
            degradation=config.degradation,
            rotate=config.rotate,
            scale_jitter=config.scale_jitter,
        )
        self._size = config.batch_size
        self._process = process
        self._resident = (
            ResidentPictures(self._sampler, config.patch_lr_px, process.device)
            if config.resident
            else None
        )
        self._prefetcher = Prefetcher(self._make, workers=workers)

    def _make(self, number: int) -> tuple[Tensor, ...]:
        own = range(self._process.rank, self._size, self._process.count)
        numbers = [number * self._size + index for index in own]
        if self._resident:
            made: tuple[Tensor, ...] = (self._resident.places(numbers),)
        else:
            crops = [self._sampler.batch(one) for one in numbers]
            made = tuple(_joined([crop[side] for crop in crops]) for side in (0, 1))
        on_gpu = self._process.device.type == "cuda"
        return tuple(one.pin_memory() for one in made) if on_gpu else made

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Return this process's part of batch `number`, and prepare the following ones.

        Returns:
            LR crops (N, 3, P, P) and HR crops (N, 3, 4P, 4P), float32, RGB in [0, 1],
            channels_last, on the device.
        """
        made = [
            one.to(self._process.device, non_blocking=True)
            for one in self._prefetcher.batch(number)
        ]
        lr, hr = self._resident.crops(*made) if self._resident else made
        return _scaled(lr), _scaled(hr)


@contextmanager
def open_batches(
    config: DataConfig, seed: int, pairs: Sequence[Pair], process: ProcessContext, workers: int = 1
) -> Iterator[Batches]:
    """Provide the batches of a run; the threads end with the context.

    Raises:
        ConfigError: as in :class:`Batches`.
        ImageReadError: as in :class:`Batches`.
    """
    batches = Batches(config, seed, pairs, process, workers)
    with batches._prefetcher:
        yield batches


def _scaled(crops_nhwc: Tensor) -> Tensor:
    # Permuting keeps the layout that the crops already have: it is channels_last.
    return crops_nhwc.permute(0, 3, 1, 2).float() / 255


def _joined(crops_nhwc: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.concatenate(crops_nhwc))
