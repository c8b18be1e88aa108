from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn

from dggn.model.discriminator import Discriminator


def test_structure_at_the_papers_size() -> None:
    with torch.device("meta"):
        critic = Discriminator()
    convolutions = [layer for layer in critic.features if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == len(critic.features) == 12
    assert [layer.out_channels for layer in convolutions[::2]] == [64, 128, 256, 512, 512, 512]
    for plain, halving in zip(convolutions[::2], convolutions[1::2], strict=True):
        assert (plain.kernel_size, plain.stride) == ((3, 3), (1, 1))
        assert (halving.kernel_size, halving.stride) == ((4, 4), (2, 2))
    assert critic.hidden.in_features == 512 * 3 * 3


def test_no_batch_norm_and_no_sigmoid() -> None:
    critic = Discriminator(16, width=2)
    kinds = {type(module) for module in critic.modules()}
    assert kinds == {Discriminator, nn.ModuleList, nn.Conv2d, nn.Linear}
    assert critic.score.weight.requires_grad
    nn.init.constant_(critic.score.bias, 7.0)
    assert (critic(torch.rand(3, 3, 16, 16)) > 5).all()


@pytest.mark.parametrize("size_px", [4, 32, 40, 100, 128, 192])
def test_any_size(size_px: int) -> None:
    critic = Discriminator(size_px, width=2)
    assert critic(torch.rand(2, 3, size_px, size_px)).shape == (2,)


def test_samples_are_scored_apart() -> None:
    critic = Discriminator(32, width=4)
    batch = torch.rand(3, 3, 32, 32)
    alone = torch.cat([critic(sample[None]) for sample in batch])
    torch.testing.assert_close(critic(batch), alone)


def test_scores_are_float32_under_autocast() -> None:
    critic = Discriminator(32, width=4)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(torch.rand(1, 3, 32, 32)).dtype == torch.float32
