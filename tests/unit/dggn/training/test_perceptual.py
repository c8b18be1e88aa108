from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")


from dggn.training.loss_config import PerceptualConfig
from dggn.training.perceptual import PerceptualLoss, open_perceptual, random_shift, shifted
from runtime.errors import ConfigError


def opened(path: Path, *layers: str) -> PerceptualLoss:
    return open_perceptual(PerceptualConfig(weights=str(path), layers=layers))


def test_loss_is_the_mean_of_the_layers(vgg19_file: Path) -> None:
    image, target = torch.rand(2, 1, 3, 32, 32).unbind()
    one, other = (opened(vgg19_file, layer)(image, target) for layer in ("conv1_2", "conv3_1"))
    both = opened(vgg19_file, "conv1_2", "conv3_1")(image, target)
    torch.testing.assert_close(both, (one + other) / 2)
    assert opened(vgg19_file)(image, target) == opened(vgg19_file, "conv5_4")(image, target)
    assert opened(vgg19_file)(target, target) == 0


def test_only_the_picture_is_differentiated(vgg19_file: Path) -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    target = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss = opened(vgg19_file, "conv2_1")
    loss(image, target).backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert target.grad is None
    assert not list(loss.parameters())


def test_unknown_layers(vgg19_file: Path, squeezenet_file: Path) -> None:
    with pytest.raises(ConfigError, match="VGG19 has no layer 'conv5_5'"):
        opened(vgg19_file, "conv5_5")
    config = PerceptualConfig(network="squeezenet", weights=str(squeezenet_file), layers=("fire1",))
    with pytest.raises(ConfigError, match="SqueezeNet has no layer 'fire1'"):
        open_perceptual(config)


def test_squeezenet_by_the_same_interface(squeezenet_file: Path) -> None:
    image, target = torch.rand(2, 1, 3, 64, 64).unbind()
    config = PerceptualConfig(
        network="squeezenet", weights=str(squeezenet_file), layers=("conv1", "fire4", "fire9")
    )
    loss = open_perceptual(config)
    sizes = [features.shape[-1] for features in loss.network(image)]
    assert sizes == [29, 14, 3]
    assert loss(image, target) > 0
    assert loss(target, target) == 0


def test_windows_begin_anywhere_and_have_one_size() -> None:
    image = torch.arange(2 * 40 * 48.0).view(1, 2, 40, 48).requires_grad_()
    shifts = [random_shift(1, number) for number in range(50)]
    assert {int(one) for shift in shifts for one in shift} == set(range(16))
    for shift in shifts[:3]:
        top, left = shift.tolist()
        assert torch.equal(shifted(image, shift), image[..., top : top + 25, left : left + 33])
    shifted(image, shifts[0]).sum().backward()
    assert image.grad is not None
    top, left = shifts[0].tolist()
    assert image.grad[..., top : top + 25, left : left + 33].eq(1).all()
    assert image.grad.sum() == 2 * 25 * 33
