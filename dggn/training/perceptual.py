"""The perceptual loss (Eq. 7) over either network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.training import squeezenet, vgg19
from dggn.training.loss_config import PerceptualConfig

DOMAIN = 0x7368
"""Seed component that keeps the shifts' random numbers independent of others."""

SHIFTS_PX = 16
"""Bound of the random shift along each axis: the stride of both networks' deepest layers. Strides
see some pixels more than others; shifting keeps the loss from imprinting their grid.
"""


class PerceptualLoss(nn.Module):
    """Distance between a network's features of two batches.

    Args:
        network: pictures (N, 3, H, W), RGB in [0, 1], to the features of its layers.
        compare: see `PerceptualConfig`.
    """

    def __init__(self, network: nn.Module, compare: str = "values") -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self._directions = compare == "directions"

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Return the loss; for values, `1/n sum_i |phi_i(image) - phi_i(target)|_1`.

        Args:
            image: (N, 3, H, W), RGB in [0, 1].
            target: the HR pictures, same shape; not differentiated.

        Returns:
            A scalar, float32.
        """
        with torch.no_grad():
            expected = self.network(target)
        found = self.network(image)
        pairs = [(one.float(), other.float()) for one, other in zip(found, expected, strict=True)]
        if self._directions:
            return torch.stack([_between_directions(*pair) for pair in pairs]).sum()
        return torch.stack([F.l1_loss(*pair) for pair in pairs]).mean()


def random_shift(seed: int, number: int) -> Tensor:
    """Draw the first row and column that the perceptual network sees.

    Args:
        seed: seed of the run.
        number: batch number in the whole run.

    Returns:
        (2,), int64, from 0 to below `SHIFTS_PX`.
    """
    shift = np.random.default_rng((seed, number, DOMAIN)).integers(SHIFTS_PX, size=2)
    return torch.from_numpy(shift)


def shifted(image: Tensor, shift: Tensor) -> Tensor:
    """Cut a window of the same size at any shift, so that a CUDA graph can hold the cut.

    Args:
        image: (N, C, H, W).
        shift: as `random_shift` draws it, on the same device.

    Returns:
        (N, C, H - 15, W - 15).
    """
    for axis, first in zip((2, 3), shift, strict=True):
        length = image.shape[axis] - SHIFTS_PX + 1
        image = image.index_select(axis, first + torch.arange(length, device=image.device))
    return image


def _between_directions(one: Tensor, other: Tensor) -> Tensor:
    first, second = (F.normalize(F.relu(side), dim=1, eps=1e-6) for side in (one, other))
    return (first - second).square().sum(dim=1).mean()


def open_perceptual(config: PerceptualConfig) -> PerceptualLoss:
    """Create the configured loss, on the CPU.

    Raises:
        ConfigError: a layer is unknown.
        EnvironmentProblem: VGG19's weights cannot be downloaded.
        ModelError: the weights are missing, damaged, or of another network.
    """
    path = None if config.weights is None else Path(config.weights)
    if config.network == "vgg19":
        layers = config.layers or vgg19.DEFAULT_LAYERS
        return PerceptualLoss(vgg19.Vgg19(vgg19.read_vgg19(path), layers), config.compare)
    assert path is not None  # PerceptualConfig asks for it
    layers = config.layers or squeezenet.DEFAULT_LAYERS
    network = squeezenet.SqueezeNet(squeezenet.read_squeezenet(path), layers)
    return PerceptualLoss(network, config.compare)
