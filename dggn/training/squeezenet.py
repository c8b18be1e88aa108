"""SqueezeNet 1.0 (Iandola et al., 2016), a perceptual network of a few megabytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.data.npz import read_npz
from runtime.errors import ConfigError, ModelError

NAMES = ("conv1", *(f"fire{number}" for number in range(2, 10)))

DEFAULT_LAYERS = ("fire9",)
"""Deepest layer: 1/16 of the picture's size, like VGG19's conv5_4."""

POOLED_BEFORE = ("fire2", "fire5", "fire9")
"""Layers preceded by a 3x3 stride-2 max-pool."""

MEAN_BGR = (104.0, 117.0, 123.0)


class SqueezeNet(nn.Module):
    """Features of SqueezeNet 1.0 in Caffe's conventions; its weights are never trained.

    Args:
        weights: `conv1`, `fireN/conv1x1_1`, `fireN/conv1x1_2` and `fireN/conv3x3_2`, each with
            `.weight` (out, in, kh, kw) and `.bias` (out,), and `conv_final` to classify.
        layers: names from `NAMES`; a layer's features are its convolutions', before the ReLU.

    Raises:
        ConfigError: a layer is unknown.
        ModelError: the weights are not those of a SqueezeNet 1.0.
    """

    mean: Tensor

    def __init__(self, weights: Mapping[str, NDArray[np.generic]], layers: tuple[str, ...]) -> None:
        super().__init__()
        unknown = [layer for layer in layers if layer not in NAMES]
        if unknown:
            raise ConfigError(
                f"SqueezeNet has no layer {unknown[0]!r}: choose from {', '.join(NAMES)}"
            )
        self._layers = layers
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1))
        channels = self._keep(weights, "conv1", inputs=3, kernel=7)
        for fire in NAMES[1:]:
            squeezed = self._keep(weights, f"{fire}/conv1x1_1", inputs=channels, kernel=1)
            channels = self._keep(weights, f"{fire}/conv1x1_2", inputs=squeezed, kernel=1)
            channels += self._keep(weights, f"{fire}/conv3x3_2", inputs=squeezed, kernel=3)
        self._keep(weights, "conv_final", inputs=channels, kernel=1)

    def _keep(
        self, weights: Mapping[str, NDArray[np.generic]], name: str, *, inputs: int, kernel: int
    ) -> int:
        weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
        if (
            weight is None
            or bias is None
            or weight.shape[1:] != (inputs, kernel, kernel)
            or bias.shape != weight.shape[:1]
        ):
            raise ModelError(
                f"{name} of the SqueezeNet weights is missing or of another shape: expected "
                f"{name}.weight (out, {inputs}, {kernel}, {kernel}) and {name}.bias (out,)"
            )
        for part, array in (("weight", weight), ("bias", bias)):
            tensor = torch.from_numpy(array.astype(np.float32))
            self.register_buffer(f"{name.replace('/', '_')}_{part}", tensor)
        return len(bias)

    def forward(self, image_nchw: Tensor) -> list[Tensor]:
        """Return features of the requested layers, from first to last.

        Args:
            image_nchw: (N, 3, H, W), RGB in [0, 1].
        """
        return self._features(image_nchw, self._layers)

    def classify(self, image_nchw: Tensor) -> Tensor:
        """Return probabilities of ImageNet's classes, (N, 1000), to check a weights file.

        Args:
            image_nchw: (N, 3, H, W), RGB in [0, 1], about 227x227.
        """
        (features,) = self._features(image_nchw, NAMES[-1:])
        logits = F.relu(self._convolved(F.relu(features), "conv_final")).mean(dim=(2, 3))
        return logits.softmax(dim=1)

    def _features(self, image_nchw: Tensor, layers: tuple[str, ...]) -> list[Tensor]:
        features = image_nchw.flip(1) * 255 - self.mean
        found: list[Tensor] = []
        for name in NAMES:
            if name in POOLED_BEFORE:
                features = F.max_pool2d(features, 3, stride=2, ceil_mode=True)
            if name == "conv1":
                features = self._convolved(features, name, stride=2)
            else:
                squeezed = F.relu(self._convolved(features, f"{name}/conv1x1_1"))
                one = self._convolved(squeezed, f"{name}/conv1x1_2")
                three = self._convolved(squeezed, f"{name}/conv3x3_2", padding=1)
                features = torch.cat((one, three), dim=1)
            if name in layers:
                found.append(features)
                if len(found) == len(layers):
                    break
            features = F.relu(features)
        return found

    def _convolved(
        self, features: Tensor, name: str, *, stride: int = 1, padding: int = 0
    ) -> Tensor:
        buffer = name.replace("/", "_")
        weight, bias = self.get_buffer(f"{buffer}_weight"), self.get_buffer(f"{buffer}_bias")
        return F.conv2d(features, weight, bias, stride=stride, padding=padding)


def read_squeezenet(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read the weights from an .npz file.

    Raises:
        ModelError: the file is missing or damaged.
    """
    return read_npz(path, "an .npz file of SqueezeNet 1.0 weights in Caffe's layout")
