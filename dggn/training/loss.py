"""The six terms of Eq. 6, two for the phases of the sub-pixel convolution, and one of spectra."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from dggn.model.gradient import GradientMagnitude
from dggn.training.loss_config import LossConfig
from dggn.training.perceptual import shifted
from dggn.training.phases import grid_excess, phase_means
from dggn.training.spectrum import spectrum_distance


class GeneratorLoss(nn.Module):
    """The generator's loss; terms of weight 0 are neither computed nor reported.

    Args:
        config: the weights.
        perceptual: the perceptual loss of two batches; needed if its weight is not 0.
        critics: critics by name, `image` and `gradient`; each needed if its weight is not 0.
        compared: pictures of a batch that the perceptual loss compares; 0: all.
    """

    def __init__(
        self,
        config: LossConfig,
        perceptual: nn.Module | None = None,
        critics: Mapping[str, nn.Module] | None = None,
        compared: int = 0,
    ) -> None:
        super().__init__()
        self._config = config
        self._compared = compared or None
        self._gradient = GradientMagnitude()
        self._perceptual = perceptual
        self._critics = nn.ModuleDict(critics or {})

    def forward(
        self,
        image: Tensor,
        branch_gradient: Tensor | None,
        target: Tensor,
        shift: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return weighted terms by the names of `LossConfig`; their sum is minimized.

        Args:
            image: the generator's pictures, (N, 3, H, W), float32.
            branch_gradient: its gradient branch's prediction, same shape; None without a branch.
            target: the HR pictures, same shape, RGB in [0, 1].
            shift: where the perceptual network's window begins (`random_shift`); None for all
                of the pictures.
        """
        config = self._config
        terms: dict[str, Tensor] = {}
        if config.perceptual:
            assert self._perceptual is not None
            seen = [batch[: self._compared] for batch in (image, target)]
            if shift is not None:
                seen = [shifted(batch, shift) for batch in seen]
            terms["perceptual"] = config.perceptual * self._perceptual(*seen)
        if config.pixel:
            terms["pixel"] = config.pixel * F.l1_loss(image, target)
        if config.gradient:
            terms["gradient"] = config.gradient * F.mse_loss(
                self._gradient(image), self._gradient(target)
            )
        if config.adversarial:
            terms["adversarial"] = -config.adversarial * self._critics["image"](image).mean()
        if config.gradient_adversarial:
            scores = self._critics["gradient"](self._gradient(image))
            terms["gradient_adversarial"] = -config.gradient_adversarial * scores.mean()
        if config.branch_gradient and branch_gradient is not None:
            terms["branch_gradient"] = config.branch_gradient * F.l1_loss(
                branch_gradient, self._gradient(target)
            )
        if config.phase:
            terms["phase"] = config.phase * F.l1_loss(phase_means(image), phase_means(target))
        if config.grid:
            terms["grid"] = config.grid * grid_excess(image, target)
        if config.spectrum:
            terms["spectrum"] = config.spectrum * spectrum_distance(image, target)
        return terms
