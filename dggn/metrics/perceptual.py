"""LPIPS, NIQE and PI, computed by `pyiqa`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dggn.metrics.evaluate import Metric
from dggn.metrics.fidelity import BORDER_PX
from runtime.errors import BackendError, MissingDependency
from runtime.system.package import require

OPTIONS: dict[str, dict[str, Any]] = {
    "lpips": {"net": "alex"},
    "niqe": {"crop_border": BORDER_PX, "color_space": "ycbcr"},
    "pi": {"crop_border": BORDER_PX, "color_space": "ycbcr"},
}
"""Creation options: LPIPS on AlexNet features of whole RGB pictures; NIQE and PI on Y without the
border, as the PIRM challenge's script computes them.
"""

SMALLEST_PX = {"lpips": 31, "niqe": 96 + 2 * BORDER_PX, "pi": 96 + 2 * BORDER_PX}
"""Minimum height and width: AlexNet's poolings, and one NIQE block inside the border."""


def perceptual_metrics() -> dict[str, Metric]:
    """Create LPIPS, NIQE and PI by metric name; lower is better for all three.

    Each raises `ValueError` at a picture that is smaller than its `SMALLEST_PX`.

    Raises:
        MissingDependency: pyiqa is not installed, cannot be imported, or its weights are
            neither here nor to be downloaded.
    """
    require("pyiqa", extra="metrics")
    try:
        # It greets and reports downloads on stdout, where only results belong.
        with redirect_stdout(sys.stderr):
            import pyiqa
    except (ImportError, RuntimeError) as error:
        # torchvision is built for one version of torch, and says so in a RuntimeError.
        raise MissingDependency(
            f"pyiqa is installed but cannot be imported ({error}): it needs the torchvision that "
            "belongs to the installed torch"
        ) from error
    return {name: _metric(pyiqa, name) for name in OPTIONS}


def _metric(pyiqa: Any, name: str) -> Metric:
    import torch

    try:
        with redirect_stdout(sys.stderr):
            network = pyiqa.create_metric(name, **OPTIONS[name])
    except Exception as error:  # not found, not downloaded or damaged, each kind in its way
        raise MissingDependency(
            f"the weights of {name} cannot be loaded ({error}): pyiqa downloads them on first "
            "use into torch.hub's folder, so run this once with a network, after removing what is "
            "damaged there; or leave out --perceptual"
        ) from error
    takes_reference = network.metric_mode == "FR"

    def batch(image_hwc: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(image_hwc.copy()).permute(2, 0, 1)[None].float() / 255

    def measure(image_hwc: NDArray[np.uint8], reference_hwc: NDArray[np.uint8]) -> float:
        height, width = image_hwc.shape[:2]
        if min(height, width) < SMALLEST_PX[name]:
            raise ValueError(
                f"{name} needs {SMALLEST_PX[name]} px in height and width, it is {width}x{height}; "
                "remove it, or leave out --perceptual"
            )
        arguments = (image_hwc, reference_hwc) if takes_reference else (image_hwc,)
        try:
            return float(network(*map(batch, arguments)))
        except RuntimeError as error:
            raise BackendError(f"pyiqa failed to compute {name}: {error}") from error

    return measure
