"""Trains critics on the Wasserstein distance with a gradient penalty (WGAN-GP)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

DOMAIN = 0x6770
"""Seed component that keeps the interpolation's random numbers independent of the crops'."""


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Return the deviation of the critic's gradient norm from 1 between real and generated samples.

    `mean((|grad critic(x)|_2 - 1)^2)` over x = mix * real + (1 - mix) * fake, the norm taken
    for each sample (Gulrajani et al., 2017, Eq. 3). Computed in float32 whatever the precision
    around it: half the digits of a squared norm are not enough to differentiate again. (GPUs since
    Ampere multiply in TF32 within convolutions, as PyTorch lets cuDNN do by default; sums, norms
    and linear layers are float32.)

    Args:
        critic: scores samples, (N, C, H, W) to (N,).
        real: (N, C, H, W).
        fake: same shape.
        mix: (N,), in [0, 1].

    Returns:
        The penalty, a scalar that can be differentiated.
    """
    with torch.autocast(real.device.type, enabled=False):
        share = mix.float().view(-1, 1, 1, 1)
        between = share * real.detach().float() + (1 - share) * fake.detach().float()
        between.requires_grad_(True)
        scores = critic(between)
        (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        # Not torch.norm: its derivative at a gradient of exactly zero is not a number.
        norms = torch.sqrt(slope.flatten(1).square().sum(dim=1) + 1e-12)
        return (norms - 1).square().mean()


class CriticLoss(nn.Module):
    """Loss of a critic as one module, for DistributedDataParallel.

    Args:
        critic: scores samples.
        precision: precision of the scores under autocast; the penalty is always float32.
    """

    def __init__(self, critic: nn.Module, precision: str) -> None:
        super().__init__()
        self.critic = critic
        self._bf16 = precision == "bf16"

    def forward(self, real: Tensor, fake: Tensor, mix: Tensor) -> tuple[Tensor, Tensor]:
        """Compare real and generated samples.

        Args:
            real: (N, 3, H, W).
            fake: same shape; not differentiated.
            mix: interpolation weights, as in :func:`gradient_penalty`.

        Returns:
            `mean critic(fake) - mean critic(real)`, which is minus the estimated Wasserstein
            distance, and the unweighted gradient penalty.
        """
        with torch.autocast(real.device.type, torch.bfloat16, enabled=self._bf16):
            difference = self.critic(fake.detach()).mean() - self.critic(real).mean()
        return difference, gradient_penalty(self.critic, real, fake, mix)


def interpolation(seed: int, batch_number: int, count: int) -> Tensor:
    """Draw the interpolation weights at which the penalty is taken.

    Args:
        seed: seed of the run.
        batch_number: batch number in the whole run; the result depends only on it and the seed.
        count: samples in the batch.

    Returns:
        (count,), float32, uniform in [0, 1).
    """
    random = np.random.default_rng((seed, batch_number, DOMAIN))
    return torch.from_numpy(random.random(count, dtype=np.float32))
