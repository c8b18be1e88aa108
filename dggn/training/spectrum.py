"""Compares the local power spectra of pictures: how much texture there is, not where."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW_PX = 32
"""Side of the windows that are transformed."""

AVERAGED = 3
"""Windows along each axis whose power is averaged, or all of a smaller picture: the power of one
alone is mostly chance.
"""

FLOOR_LEVELS = 1.0
"""White noise, in 8-bit levels, whose power is added to both: fainter detail is not compared."""

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601: texture is seen in luma."""


def spectrum_distance(image: Tensor, target: Tensor) -> Tensor:
    """Return the mean difference of the logarithms of local power spectra.

    Comparing pixels blurs texture whose place cannot be known, and a perceptual network prefers
    some frequencies. A power spectrum does not depend on the place and covers all frequencies, so
    neither missing texture nor a mesh at a few of them goes unnoticed.

    Args:
        image: (N, 3, H, W), RGB in [0, 1], H and W at least 32.
        target: same shape.

    Returns:
        A scalar, in natural logarithms of power.
    """
    return (_log_power(image) - _log_power(target)).abs().mean()


def _log_power(image: Tensor) -> Tensor:
    # Numbers, not a tensor of them: copying one to the device cannot be recorded as a CUDA graph.
    luma: Tensor = sum(weight * image[:, index].float() for index, weight in enumerate(LUMA))  # type: ignore[assignment]
    windows = luma.unfold(1, WINDOW_PX, WINDOW_PX // 2).unfold(2, WINDOW_PX, WINDOW_PX // 2)
    windows = windows - windows.mean(dim=(-2, -1), keepdim=True)
    hann = torch.hann_window(WINDOW_PX, device=image.device)
    taper = hann[:, None] * hann
    bins: Tensor = torch.fft.rfft2(windows * taper)
    power = bins.real.square() + bins.imag.square()
    count, rows, columns = power.shape[:3]
    power = power.permute(0, 3, 4, 1, 2).reshape(count, -1, rows, columns)
    power = F.avg_pool2d(power, min(AVERAGED, rows, columns), stride=1)
    floor = taper.square().sum() * (FLOOR_LEVELS / 255) ** 2
    return torch.log(power + floor)
