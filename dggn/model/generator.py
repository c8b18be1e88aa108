"""The DGGN generator (Fig. 1): an image branch guided by a gradient branch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.model.blocks import LEAK, MultiScaleResidualUnit
from dggn.model.config import SCALE, TRUNK_STRIDE, GeneratorConfig
from dggn.model.gradient import GradientMagnitude


class ShallowExtractor(nn.Module):
    """Picture to trunk features at half the LR resolution.

    Args:
        width: channels of the trunk.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width // TRUNK_STRIDE**2, 3, padding=1)
        self.unshuffled = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image_nchw: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, width, H/2, W/2)."""
        features = F.leaky_relu(self.conv(image_nchw), LEAK)
        features = F.pixel_unshuffle(features, TRUNK_STRIDE)
        output: Tensor = self.unshuffled(features)
        return output


class Upsampler(nn.Module):
    """Trunk features to HR features by three convolutions, each with a 2x pixel-shuffle.

    Args:
        width: channels of the trunk.
        widths: channels after each step.
    """

    def __init__(self, width: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        inputs = (width, *widths[:-1])
        self.steps = nn.ModuleList(
            nn.Conv2d(before, 4 * after, 3, padding=1)
            for before, after in zip(inputs, widths, strict=True)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H/2, W/2) to (N, widths[-1], 4H, 4W)."""
        for step in self.steps:
            features = F.pixel_shuffle(F.leaky_relu(step(features), LEAK), 2)
        return features


class Generator(nn.Module):
    """Super-resolve pictures four times along each axis.

    The image branch is refined by `image_units` multi-scale residual units. The gradient
    branch starts from the LR picture's gradient magnitude (Eq. 5), takes in the image
    features at `gradient_units` evenly spaced places, and predicts the HR picture's gradient;
    its HR features are fused into the image branch, whose result is added to the bilinear
    enlargement of the input.

    Args:
        config: the structure.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width, widths = config.width, config.upsampler_widths
        self.image_head = ShallowExtractor(width)
        self.image_trunk = self._units(config.image_units)
        self.image_join = nn.Conv2d(width, width, 3, padding=1)
        self.image_upsampler = Upsampler(width, widths)
        features_hr = widths[-1]
        if config.gradient_units:
            self.gradient = GradientMagnitude()
            self.gradient_head = ShallowExtractor(width)
            self.gradient_joins = nn.ModuleList(
                nn.Conv2d(2 * width, width, 1) for _ in range(config.gradient_units)
            )
            self.gradient_trunk = self._units(config.gradient_units)
            self.gradient_upsampler = Upsampler(width, widths)
            self.gradient_tail = nn.Conv2d(features_hr, 3, 3, padding=1)
            features_hr *= 2
        self.image_tail = nn.Conv2d(features_hr, 3, 3, padding=1)

    def _units(self, count: int) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(
            MultiScaleResidualUnit(config.width, config.se_reduction, config.se_window_px)
            for _ in range(count)
        )

    def forward(self, image_nchw: Tensor) -> Tensor:
        """Super-resolve a batch.

        Args:
            image_nchw: (N, 3, H, W), float32, RGB in [0, 1]; H and W multiples of
                `config.size_multiple_px`. Autocast lowers the precision of the inside.

        Returns:
            (N, 3, 4H, 4W), float32, RGB, not clamped.
        """
        image, _ = self._features(image_nchw)
        return self._image(image_nchw, image)

    def forward_with_gradient(self, image_nchw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Super-resolve a batch and predict the HR gradient magnitude, for training.

        Args:
            image_nchw: as in :meth:`forward`.

        Returns:
            The pictures of :meth:`forward`, and the gradient branch's prediction of their
            gradient magnitude, (N, 3, 4H, 4W), float32; None without a gradient branch.
        """
        image, gradient = self._features(image_nchw)
        if gradient is None:
            return self._image(image_nchw, image), None
        magnitude = self.gradient_tail(gradient).float()
        enlarged = _enlarged(self.gradient(image_nchw))
        return self._image(image_nchw, image), enlarged + magnitude

    def _image(self, image_nchw: Tensor, features_hr: Tensor) -> Tensor:
        detail: Tensor = self.image_tail(features_hr)
        return _enlarged(image_nchw.float()) + detail.float()

    def _features(self, image_nchw: Tensor) -> tuple[Tensor, Tensor | None]:
        """HR features for the image's tail, and those of the gradient branch alone."""
        shallow = self.image_head(image_nchw)
        steps = self._image_steps(shallow)
        if not self.config.gradient_units:
            for image in steps:
                deep = image
            return self.image_upsampler(shallow + self.image_join(deep)), None
        gradient = self.gradient_head(self.gradient(image_nchw))
        spacing = self.config.image_units // self.config.gradient_units
        for number, image in enumerate(steps, start=1):
            if number % spacing == 0:
                place = number // spacing - 1
                joined = self.gradient_joins[place](torch.cat((gradient, image), dim=1))
                gradient = self.gradient_trunk[place](joined)
        gradient_hr = self.gradient_upsampler(gradient)
        image_hr = self.image_upsampler(shallow + self.image_join(image))
        return torch.cat((image_hr, gradient_hr), dim=1), gradient_hr

    def _image_steps(self, features: Tensor) -> Iterator[Tensor]:
        for unit in self.image_trunk:
            features = unit(features)
            yield features


def _enlarged(image_nchw: Tensor) -> Tensor:
    return F.interpolate(image_nchw, scale_factor=float(SCALE), mode="bilinear")
