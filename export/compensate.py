"""Rounds convolutions to 4 bits so that a network's results change least.

Rounding a weight to the nearest level ignores the others that are summed with it. Here the
weights of an output channel are rounded one after the other, and those still to come are changed to
make up for each error, as far as the layer's inputs allow: with inputs X in rows, they minimize
|X (w - rounded)|^2 (GPTQ: Frantar et al., 2022, arXiv 2210.17323). The `dggn` flagship then loses
a seventh of what it loses by rounding to the nearest.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.onnx_graph.int4 import BLOCK, best_scales, nearest
from dggn.onnx_graph.weight_storage import choose_storage
from runtime.errors import ModelError

POSITIONS = 20_000
"""Output pixels per layer whose inputs are looked at."""

DAMPING = 0.01
"""Added to the diagonal of a layer's XᵀX, as a share of its mean: keeps corrections small where its
inputs say little."""


def compensate(generator: nn.Module, pictures_nchw: Tensor) -> None:
    """Round the kernels that are stored in 4 bits, in place.

    Each layer is rounded just before it is computed, so that it sees what the rounded layers
    before it give, and makes up for some of their errors, too.

    Args:
        generator: float32, on the CPU.
        pictures_nchw: pictures as the network will meet them, RGB in [0, 1].

    Raises:
        ModelError: a weight is not finite.
    """
    for name, parameter in generator.named_parameters():
        if not parameter.isfinite().all():
            raise ModelError(f"{name} is not finite: it cannot be rounded to 4 bits")
    hooks = [
        module.register_forward_pre_hook(_round_layer)
        for module in generator.modules()
        if isinstance(module, nn.Conv2d) and choose_storage("int4", module.weight.shape) == "int4"
    ]
    try:
        with torch.no_grad():
            generator(pictures_nchw)
    finally:
        for hook in hooks:
            hook.remove()


def _round_layer(conv: nn.Module, inputs: tuple[Tensor]) -> None:
    assert isinstance(conv, nn.Conv2d)
    for features, kernels in zip(
        inputs[0].chunk(conv.groups, dim=1), conv.weight.chunk(conv.groups), strict=True
    ):
        products = _mean_products(features, conv)
        kernels.copy_(_rounded(kernels.flatten(1), products).view_as(kernels))


def _mean_products(features: Tensor, conv: nn.Conv2d) -> NDArray[np.float64]:
    """Return XᵀX / N for N of the layer's output pixels, evenly spaced."""
    padding = 0 if isinstance(conv.padding, str) else conv.padding  # borders are few
    patches = F.unfold(features, conv.kernel_size, conv.dilation, padding, conv.stride)
    rows = patches.transpose(1, 2).flatten(0, 1)
    rows = rows[:: -(-len(rows) // POSITIONS)]
    return (rows.T @ rows / len(rows)).double().numpy()


def _rounded(kernels: Tensor, products: NDArray[np.float64]) -> Tensor:
    """Round kernels, (channels, inputs), with inputs of these mean products."""
    weights = kernels.double().numpy().copy()
    diagonal = np.einsum("ii->i", products)  # a view
    diagonal += DAMPING * diagonal.mean() or 1  # a layer may see nothing but zeros
    # Row i says how an error of weight i is best shared out among those after it.
    shares = np.linalg.cholesky(np.linalg.inv(products)).T
    shares /= shares.diagonal()[:, None]
    rounded = np.empty_like(weights)
    for start in range(0, weights.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        scales = best_scales(weights[:, block])
        for one in range(start, start + BLOCK):
            rounded[:, one : one + 1] = nearest(weights[:, one : one + 1], scales)
            error = weights[:, one] - rounded[:, one]
            weights[:, one + 1 : block.stop] -= np.outer(error, shares[one, one + 1 : block.stop])
            weights[:, one] = error
        weights[:, block.stop :] -= weights[:, block] @ shares[block, block.stop :]
    return torch.from_numpy(rounded).float()
