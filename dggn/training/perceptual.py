"""The perceptual loss (Eq. 7), over either network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.training import squeezenet, vgg19
from dggn.training.loss_config import PerceptualConfig


class PerceptualLoss(nn.Module):
    """L1 distance between a network's features of two batches, averaged over its layers.

    Args:
        network: pictures (N, 3, H, W), RGB in [0, 1], to the features of its layers.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of generated pictures, `1/n sum_i |phi_i(image) - phi_i(target)|_1`.

        Args:
            image: (N, 3, H, W), RGB in [0, 1].
            target: the HR pictures, same shape; not differentiated.

        Returns:
            A scalar, float32.
        """
        with torch.no_grad():
            expected = self.network(target)
        found = self.network(image)
        distances = [
            F.l1_loss(one.float(), other.float())
            for one, other in zip(found, expected, strict=True)
        ]
        return torch.stack(distances).mean()


def open_perceptual(config: PerceptualConfig) -> PerceptualLoss:
    """The loss that a configuration describes, on the CPU.

    Raises:
        ConfigError: a layer is unknown.
        EnvironmentProblem: VGG19's weights cannot be downloaded.
        ModelError: the weights are missing, damaged, or of another network.
    """
    path = None if config.weights is None else Path(config.weights)
    if config.network == "vgg19":
        layers = config.layers or vgg19.DEFAULT_LAYERS
        return PerceptualLoss(vgg19.Vgg19(vgg19.read_vgg19(path), layers))
    assert path is not None  # PerceptualConfig asks for it
    layers = config.layers or squeezenet.DEFAULT_LAYERS
    return PerceptualLoss(squeezenet.SqueezeNet(squeezenet.read_squeezenet(path), layers))
