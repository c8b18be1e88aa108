from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch.nn import functional as F

from dggn.model.config import GeneratorConfig
from dggn.model.enlargement import ColourKeeping, Enlargement
from dggn.model.generator import Generator
from tests.support.untrained import untrained


def test_enlargement_is_bilinear() -> None:
    image = torch.rand(2, 3, 9, 7)
    enlarged = F.pixel_shuffle(Enlargement()(image), 4)
    expected = F.interpolate(image, scale_factor=4, mode="bilinear")
    torch.testing.assert_close(enlarged, expected, rtol=0, atol=1e-6)


def with_detail(image: torch.Tensor, detail: torch.Tensor) -> torch.Tensor:
    enlargement = Enlargement()
    detail = detail + enlargement(ColourKeeping()(image, detail))
    return F.pixel_shuffle(enlargement(image) + detail, 4)


def test_flat_areas_keep_their_colours_whatever_the_detail() -> None:
    """Up to the borders: a constant shift of each phase is taken out, differences between stay."""
    image = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 16, 24)
    detail = torch.randn(1, 48, 1, 1).expand(1, 48, 16, 24)
    result = with_detail(image, detail)
    torch.testing.assert_close(F.avg_pool2d(result, 4), image, rtol=0, atol=1e-5)
    spread = F.pixel_unshuffle(result, 4).view(1, 3, 16, 16, 24).std(dim=2)
    expected = detail.view(1, 3, 16, 16, 24).std(dim=2)
    torch.testing.assert_close(spread, expected, rtol=0, atol=1e-5)


def test_without_detail_only_what_the_enlargement_blurs_is_added() -> None:
    """A ramp is enlarged exactly, so nothing is missing away from the borders."""
    image = torch.linspace(0, 1, 32).view(1, 1, 1, 32).expand(1, 3, 16, 32)
    missing = ColourKeeping()(image, torch.zeros(1, 48, 16, 32))[..., 4:-4]
    torch.testing.assert_close(missing, torch.zeros_like(missing), rtol=0, atol=1e-6)


def test_local_means_of_a_network_that_shifts_colours(tiny_config: GeneratorConfig) -> None:
    torch.manual_seed(0)
    shifting = untrained(replace(tiny_config, keeps_colours=False))
    with torch.no_grad():
        _, bias = shifting.image_tail.last.parameters()
        bias.add_(0.1)
    keeping = Generator(replace(tiny_config, keeps_colours=True)).eval()
    keeping.load_state_dict(shifting.state_dict())
    image = F.interpolate(torch.rand(1, 3, 4, 4), size=(64, 64), mode="bicubic")
    with torch.no_grad():
        errors = [
            F.avg_pool2d(F.avg_pool2d(network(image), 4) - image, 16).abs().max()
            for network in (shifting, keeping)
        ]
    assert errors[0] > 0.08
    assert errors[1] < 0.004
