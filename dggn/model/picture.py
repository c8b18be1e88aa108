"""Runs a torch network on one picture, for evaluation and export checks.

Deployment goes through `runtime`, which needs no torch and cuts pictures into tiles.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from dggn.model.community import CommunityModel
from dggn.model.generator import Generator


def super_resolve(
    generator: Generator | CommunityModel, image_hwc: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Super-resolve a whole picture at once, rounded to the nearest levels.

    Args:
        generator: the network; left in the mode it is in.
        image_hwc: (H, W, 3), uint8 RGB.

    Returns:
        (scale * H, scale * W, 3), uint8 RGB.
    """
    levels = np.rint(super_resolve_unrounded(generator, image_hwc) * 255)
    return np.clip(levels, 0, 255).astype(np.uint8)


@torch.inference_mode()
def super_resolve_unrounded(
    generator: Generator | CommunityModel, image_hwc: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Super-resolve a whole picture at once, in float32.

    It is padded at the right and bottom by replication to the generator's size multiple.

    Args:
        generator: the network; left in the mode it is in.
        image_hwc: (H, W, 3), uint8 RGB.

    Returns:
        (scale * H, scale * W, 3), float32 RGB, nominally in [0, 1], not clamped.
    """
    device = next(generator.parameters()).device
    height, width = image_hwc.shape[:2]
    multiple, scale = generator.config.size_multiple_px, generator.config.scale
    # A copy: torch warns of arrays that it could write to by accident.
    image = torch.from_numpy(image_hwc.copy()).to(device)
    batch = image.permute(2, 0, 1)[None].float() / 255
    batch = F.pad(batch, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    output = generator(batch)[0, :, : height * scale, : width * scale]
    result: NDArray[np.float32] = output.permute(1, 2, 0).cpu().numpy()
    return result
