"""The DGGN generator (Fig. 1): an image branch guided by a gradient branch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dggn.model.blocks import LEAK, MultiScaleResidualUnit
from dggn.model.config import SCALE, TRUNK_STRIDE, GeneratorConfig
from dggn.model.enlargement import ColourKeeping, Enlargement
from dggn.model.gradient import GradientMagnitude

GRADIENT_TAIL_WIDTH = 32
"""Channels of the tail that predicts the HR gradient; narrow, since only training uses it."""


class ShallowExtractor(nn.Module):
    """Shallow features of a picture, at half the LR resolution.

    Args:
        width: channels of the trunk.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width // TRUNK_STRIDE**2, 3, padding=1)
        self.unshuffled = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image_nchw: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to (N, width, H/2, W/2)."""
        features = F.leaky_relu(self.conv(image_nchw), LEAK)
        features = F.pixel_unshuffle(features, TRUNK_STRIDE)
        output: Tensor = self.unshuffled(features)
        return output


class Tail(nn.Module):
    """Tail from trunk features to HR, computed at LR resolution or below.

    A 3x3 convolution and a 2x pixel-shuffle lead from the trunk's resolution to LR, and a last
    convolution and a 4x pixel-shuffle to HR, as in sub-pixel convolution (Shi et al., CVPR 2016).
    The last convolution begins at zero, so that an untrained tail adds nothing.

    Args:
        inputs: channels of the trunk features.
        width: channels at LR resolution.
        convs: 3x3 convolutions at LR resolution between the two, each added to its input.
    """

    def __init__(self, inputs: int, width: int, convs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, TRUNK_STRIDE**2 * width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(convs))
        self.last = nn.Conv2d(width, 3 * SCALE**2, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H/2, W/2) to (N, 48, H, W), before the pixel shuffle."""
        features = F.pixel_shuffle(F.leaky_relu(self.enter(features), LEAK), TRUNK_STRIDE)
        for conv in self.convs:
            features = features + F.leaky_relu(conv(features), LEAK)
        output: Tensor = self.last(features)
        return output


class Generator(nn.Module):
    """Network that super-resolves pictures four times along each axis.

    The image branch is refined by `image_units` multi-scale residual units. The gradient
    branch starts from the LR picture's gradient magnitude (Eq. 5), takes in the image
    features at `gradient_units` evenly spaced places, and predicts the HR picture's gradient.
    Its features are fused into the image branch, whose result is added to the bilinear
    enlargement of the input. Nothing is computed above LR resolution but the closing shuffle.
    With `keeps_colours`, the local colours that the detail shifts are added, too.

    Args:
        config: the structure.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.enlargement = Enlargement()
        if config.keeps_colours:
            self.colours = ColourKeeping()
        width = config.width
        self.image_head = ShallowExtractor(width)
        self.image_trunk = self._units(config.image_units)
        self.image_join = nn.Conv2d(width, width, 3, padding=1)
        if config.gradient_units:
            self.gradient = GradientMagnitude()
            self.gradient_head = ShallowExtractor(width)
            self.gradient_joins = nn.ModuleList(
                nn.Conv2d(2 * width, width, 1) for _ in range(config.gradient_units)
            )
            self.gradient_trunk = self._units(config.gradient_units)
            self.gradient_tail = Tail(width, GRADIENT_TAIL_WIDTH, convs=0)
        fused = 2 * width if config.gradient_units else width
        self.image_tail = Tail(fused, config.tail_width, config.tail_convs)

    @property
    def units(self) -> Iterator[MultiScaleResidualUnit]:
        """Yield the multi-scale residual units of both branches."""
        return (one for one in self.modules() if isinstance(one, MultiScaleResidualUnit))

    def group_branches(self, grouped: bool) -> None:
        """Select how units apply their branches; see `MultiScaleResidualUnit`."""
        for unit in self.units:
            unit.grouped = grouped

    @contextmanager
    def in_form_for_engines(self) -> Iterator[None]:
        """Compute as exported files do: separate branches, and the gradient as a convolution."""
        units = list(self.units)
        before = [unit.grouped for unit in units]
        self.group_branches(False)
        self.convolve_gradient(True)
        try:
            yield
        finally:
            self.convolve_gradient(False)
            for unit, grouped in zip(units, before, strict=True):
                unit.grouped = grouped

    def convolve_gradient(self, convolved: bool) -> None:
        """Select how differences of pixels are taken; see `GradientMagnitude`."""
        if self.config.gradient_units:
            self.gradient.convolved = convolved

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
        return self._image(image_nchw, *self._features(image_nchw))

    def forward_with_gradient(self, image_nchw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Super-resolve a batch and predict the HR gradient magnitude, for training.

        Args:
            image_nchw: input as in :meth:`forward`.

        Returns:
            The pictures of :meth:`forward`, and the gradient branch's prediction of their
            gradient magnitude, (N, 3, 4H, 4W), float32; None without a gradient branch.
        """
        image, gradient = self._features(image_nchw)
        output = self._image(image_nchw, image, gradient)
        if gradient is None:
            return output, None
        return output, self._enlarged(self.gradient(image_nchw), self.gradient_tail(gradient))

    def _image(self, image_nchw: Tensor, image: Tensor, gradient: Tensor | None) -> Tensor:
        fused = image if gradient is None else torch.cat((image, gradient), dim=1)
        detail = self.image_tail(fused).float()
        if self.config.keeps_colours:
            detail = detail + self.enlargement(self.colours(image_nchw, detail))
        return self._enlarged(image_nchw, detail)

    def _enlarged(self, image_nchw: Tensor, detail: Tensor) -> Tensor:
        return F.pixel_shuffle(self.enlargement(image_nchw) + detail.float(), SCALE)

    def _features(self, image_nchw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return features of the image and gradient branches, (N, width, H/2, W/2)."""
        image = shallow = self.image_head(image_nchw)
        gradient: Tensor | None = None
        spacing = self.config.image_units
        if self.config.gradient_units:
            gradient = self.gradient_head(self.gradient(image_nchw))
            spacing //= self.config.gradient_units
        for number, unit in enumerate(self.image_trunk, start=1):
            image = unit(image)
            if gradient is not None and number % spacing == 0:
                place = number // spacing - 1
                joined = self.gradient_joins[place](torch.cat((gradient, image), dim=1))
                gradient = self.gradient_trunk[place](joined)
        return shallow + self.image_join(image), gradient
