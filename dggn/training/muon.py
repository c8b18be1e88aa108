"""Muon: momentum whose updates of a kernel are orthogonalized (Jordan et al., 2024)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
"""Decay of the momentum, with Nesterov's look ahead."""

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Quintic iteration that brings singular values between 0.7 and 1.2 in few rounds."""

ROUNDS = 5
"""Number of iterations."""


class Muon(torch.optim.Optimizer):
    """Optimizes the kernels of convolutions; biases need another optimizer.

    Each group of a grouped convolution is a matrix with a row for every output channel. Its update
    has singular values near 1, so that all directions are learnt at the same pace, where Adam
    follows the few strong ones (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon).
    PyTorch's own Muon takes no kernels, and computes in bfloat16, which many processors emulate.

    Args:
        network: all its kernels that want gradients are optimized.
        learning_rate: largest singular value of a step.
    """

    def __init__(self, network: nn.Module, learning_rate: float = 0.0) -> None:
        by_groups: dict[int, list[Tensor]] = {}
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                by_groups.setdefault(module.groups, []).append(module.weight)
        parameters = [
            {"params": kernels, "groups": groups} for groups, kernels in sorted(by_groups.items())
        ]
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all kernels that have gradients; `closure` is not called."""
        # Matrices of one shape are orthogonalized together: on a GPU, launches are what costs.
        alike: dict[tuple[int, int], list[tuple[Tensor, Tensor, float]]] = {}
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    update = self._with_momentum(kernel)
                    matrices = update.reshape(group["groups"], -1, kernel[0].numel())
                    shape = matrices.shape[1], matrices.shape[2]
                    alike.setdefault(shape, []).append((kernel, matrices, group["lr"]))
        for (rows, columns), members in alike.items():
            stacks = [matrices for _, matrices, _ in members]
            together = orthogonalized(torch.cat(stacks))
            updates = torch.split(together, [len(stack) for stack in stacks])
            for (kernel, _, rate), update in zip(members, updates, strict=True):
                kernel.sub_(
                    update.reshape(kernel.shape), alpha=rate * math.sqrt(max(1, rows / columns))
                )

    def _with_momentum(self, kernel: Tensor) -> Tensor:
        state: dict[str, Any] = self.state[kernel]
        gradient = kernel.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Bring all singular values near 1, by Newton and Schulz's iteration.

    Args:
        matrices: (N, rows, columns), float32.

    Returns:
        The same shape, float32.
    """
    rows, columns = matrices.shape[1:]
    # The products are of the smaller side.
    upright = rows > columns
    values: Tensor = matrices.mT if upright else matrices
    values = values / (torch.linalg.matrix_norm(values, keepdim=True) + 1e-7)
    if values.is_cuda:
        values = values.bfloat16()
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        products = values @ values.mT
        values = a * values + (b * products + c * products @ products) @ values
    values = values.float()
    return values.mT if upright else values
