"""Perceptual distance on SqueezeNet features, for use without LPIPS.

A research metric of this project: compare its figures with each other, never with published LPIPS.
It is LPIPS's distance (Zhang et al., The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric, 2018, Eq. 1) without the weights that were learnt from people's judgements:

    d(a, b) = sum over layers of mean over y, x of |u(a) - u(b)|^2

where u are a layer's features after the ReLU, scaled to length 1 over the channels at every
position. A network that was trained towards these very features does better in it than it looks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dggn.metrics.evaluate import Metric
from runtime.system.package import require

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = ("conv1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9")
"""SqueezeNet layers that LPIPS uses."""

SMALLEST_PX = 24
"""Minimum side of a picture, which leaves `fire9` one pixel."""


def feature_distance(weights: Path) -> Metric:
    """Create the distance metric from a weights file; lower is better, 0 means equal.

    Args:
        weights: .npz file of SqueezeNet 1.0 in Caffe's layout.

    Raises:
        MissingDependency: torch is not installed.
        ModelError: the file is missing, damaged or of another type.
    """
    require("torch", extra="train")
    import torch
    from torch.nn import functional as F

    from dggn.training.squeezenet import SqueezeNet, read_squeezenet

    network = SqueezeNet(read_squeezenet(weights), LAYERS).eval()

    def directions(image_hwc: NDArray[np.uint8]) -> list[Tensor]:
        batch = torch.from_numpy(image_hwc.copy()).permute(2, 0, 1)[None].float() / 255
        return [F.normalize(F.relu(features), dim=1, eps=1e-10) for features in network(batch)]

    @torch.inference_mode()
    def measure(image_hwc: NDArray[np.uint8], reference_hwc: NDArray[np.uint8]) -> float:
        if min(image_hwc.shape[:2]) < SMALLEST_PX:
            raise ValueError(f"feature distance needs {SMALLEST_PX} px, found {image_hwc.shape}")
        pairs = zip(directions(image_hwc), directions(reference_hwc), strict=True)
        return float(sum((one - other).square().sum(dim=1).mean() for one, other in pairs))

    return measure
