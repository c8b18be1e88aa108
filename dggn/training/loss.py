"""The six terms of Eq. 6, and one for the phases of the sub-pixel convolution."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from dggn.model.config import SCALE
from dggn.model.gradient import GradientMagnitude
from dggn.training.loss_config import LossConfig

PHASE_WINDOW_LR_PX = 8
"""Side of the windows that the means of phases are taken over: large enough for texture to average
out, small enough to follow shading."""


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
        shift: tuple[int, int] = (0, 0),
    ) -> dict[str, Tensor]:
        """Return weighted terms by the names of `LossConfig`; their sum is minimized.

        Args:
            image: the generator's pictures, (N, 3, H, W), float32.
            branch_gradient: its gradient branch's prediction, same shape; None without a branch.
            target: the HR pictures, same shape, RGB in [0, 1].
            shift: rows and columns that the perceptual network does not see.
        """
        config = self._config
        terms: dict[str, Tensor] = {}
        if config.perceptual:
            assert self._perceptual is not None
            top, left = shift
            seen = [batch[: self._compared, :, top:, left:] for batch in (image, target)]
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
        return terms


def phase_means(image: Tensor) -> Tensor:
    """Local mean of each phase, that is of the pixels at one place in their block of 4x4.

    A sub-pixel convolution computes each phase with weights of its own, so nothing but the loss
    keeps their levels equal.

    Args:
        image: (N, C, 4H, 4W).

    Returns:
        (N, 16 C, h, w), of overlapping windows of `PHASE_WINDOW_LR_PX`, or of all where the picture
        is smaller.
    """
    phases = F.pixel_unshuffle(image, SCALE)
    window = min(PHASE_WINDOW_LR_PX, *phases.shape[-2:])
    return F.avg_pool2d(phases, window, stride=max(1, window // 2))
