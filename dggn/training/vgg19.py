"""VGG19's convolutions (Simonyan and Zisserman, 2015), the paper's perceptual network."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.errors import ConfigError, EnvironmentProblem, ModelError

logger = logging.getLogger(__name__)

URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
"""URL of torchvision's weights; the name ends with the start of their SHA-256."""

CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Convolutions in each block; a 2x2 max-pool separates blocks."""

NAMES = tuple(
    f"conv{block}_{number}"
    for block, count in enumerate(CONVOLUTIONS, start=1)
    for number in range(1, count + 1)
)

DEFAULT_LAYERS = ("conv5_4",)
"""Layers that ESRGAN and SPSR compare."""

MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)


class Vgg19(nn.Module):
    """Features of VGG19, up to the last requested layer; the weights are never trained.

    Args:
        weights: tensors by torchvision name (`features.0.weight`); classifier layers are ignored.
        layers: names from `NAMES`; a layer's features are its convolution's, before the ReLU.

    Raises:
        ConfigError: a layer is unknown.
        ModelError: the weights are not those of a VGG19.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Mapping[str, Tensor], layers: tuple[str, ...]) -> None:
        super().__init__()
        unknown = [layer for layer in layers if layer not in NAMES]
        if unknown:
            raise ConfigError(f"VGG19 has no layer {unknown[0]!r}: choose from {', '.join(NAMES)}")
        self._layers = layers
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(STANDARD_DEVIATION).view(1, 3, 1, 1))
        channels = 3
        for name, index in zip(NAMES, _indices(), strict=True):
            weight, bias = (weights.get(f"features.{index}.{part}") for part in ("weight", "bias"))
            if (
                weight is None
                or bias is None
                or weight.shape[1:] != (channels, 3, 3)
                or bias.shape != weight.shape[:1]
            ):
                raise ModelError(
                    f"features.{index} of the VGG19 weights is missing or of another shape: "
                    f"expected torchvision's file {Path(URL).name}"
                )
            self.register_buffer(f"{name}_weight", weight.float())
            self.register_buffer(f"{name}_bias", bias.float())
            channels = len(bias)

    def forward(self, image_nchw: Tensor) -> list[Tensor]:
        """Return features of the requested layers, from first to last.

        Args:
            image_nchw: (N, 3, H, W), RGB in [0, 1].
        """
        features = (image_nchw - self.mean) / self.deviation
        found: list[Tensor] = []
        for name in NAMES:
            if name.endswith("_1") and name != "conv1_1":
                features = F.max_pool2d(features, 2)
            weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
            features = F.conv2d(features, weight, bias, padding=1)
            if name in self._layers:
                found.append(features)
                if len(found) == len(self._layers):
                    break
            features = F.relu(features)
        return found


def read_vgg19(path: Path | None) -> dict[str, Any]:
    """Read the weights from a file, or through torch.hub, which caches its download.

    Args:
        path: torchvision's file; None to download it.

    Raises:
        EnvironmentProblem: the file cannot be downloaded, or has another hash.
        ModelError: the file is missing or damaged.
    """
    expected = f"expected torchvision's file {Path(URL).name}"
    if path is None:
        path = _downloaded()
        expected += "; remove it, and it is downloaded again"
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist: {expected}") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} is damaged or of another type: {expected}") from error
    if not isinstance(weights, dict):
        raise ModelError(f"{path} holds no weights by name: {expected}")
    return weights


def _downloaded() -> Path:
    """Return the file in torch.hub's folder, downloaded and verified the first time."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL).name
    if path.exists():
        return path
    logger.warning("downloading %s to %s", URL, path.parent)
    hash_prefix = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            URL, str(path), hash_prefix, progress=sys.stderr is not None and sys.stderr.isatty()
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: the hash is another one
        raise EnvironmentProblem(
            f"VGG19's weights cannot be downloaded from {URL} ({error}): fetch the file on another "
            "machine and name it with --perceptual-weights, or as `weights` in [perceptual]; or "
            "choose squeezenet there"
        ) from error
    return path


def _indices() -> list[int]:
    """Return the indices of convolutions in torchvision's sequence."""
    indices, index = [], 0
    for count in CONVOLUTIONS:
        indices += [index + 2 * number for number in range(count)]
        index += 2 * count + 1
    return indices
