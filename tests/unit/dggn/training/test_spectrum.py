from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import Tensor
from torch.nn import functional as F

from dggn.training.loss import GeneratorLoss
from dggn.training.loss_config import LossConfig
from dggn.training.spectrum import spectrum_distance


def texture(seed: int, strength: float = 0.1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    noise: Tensor = torch.randn(2, 1, 192, 192, generator=random)
    return 0.5 + strength * noise.expand(-1, 3, -1, -1)


def mesh(period_px: float, strength: float = 0.1) -> Tensor:
    waves: Tensor = torch.sin(torch.arange(192) * (2 * torch.pi / period_px))
    return strength * waves[:, None] * waves


def test_equal_pictures_have_no_distance() -> None:
    assert spectrum_distance(texture(0), texture(0)).item() == 0


def test_texture_counts_and_its_place_does_not() -> None:
    elsewhere = spectrum_distance(texture(1), texture(0)).item()
    blurred = spectrum_distance(F.avg_pool2d(texture(0), 5, 1, 2), texture(0)).item()
    weaker = spectrum_distance(texture(1, strength=0.05), texture(0)).item()
    assert elsewhere < 0.6
    # A half of the strength is a quarter of the power.
    assert weaker == pytest.approx(1.39, abs=0.2)
    assert blurred > 2


@pytest.mark.parametrize("period_px", [8.0, 4.6, 4.0, 3.3])
def test_meshes_of_any_period_are_seen(period_px: float) -> None:
    smooth = F.avg_pool2d(texture(0), 5, 1, 2)
    assert spectrum_distance(smooth + mesh(period_px), smooth).item() > 0.1


def test_crops_of_one_window_are_compared() -> None:
    small = (slice(None), slice(None), slice(32), slice(32))
    assert spectrum_distance(texture(0)[small], texture(0, strength=0.05)[small]).item() > 1


def test_detail_below_one_level_is_not_compared() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    faint = 0.5 + (texture(0, strength=0.2 / 255)[:1, :, :64, :64] - 0.5)
    assert spectrum_distance(faint, flat).item() < 0.05


def test_gradients_of_flat_pictures_are_finite() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    spectrum_distance(flat, texture(0)[:1, :, :64, :64]).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_the_term_is_weighted() -> None:
    terms = GeneratorLoss(LossConfig(pixel=0.0, spectrum=0.5))(texture(1), None, texture(0))
    assert list(terms) == ["spectrum"]
    expected = 0.5 * spectrum_distance(texture(1), texture(0)).item()
    assert terms["spectrum"].item() == pytest.approx(expected)
