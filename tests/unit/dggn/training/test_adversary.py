from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import Tensor, nn

from dggn.training.adversary import CriticLoss, gradient_penalty, interpolation


class _Linear(nn.Module):
    """D(x) = <w, x>: the gradient is w everywhere."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, image: Tensor) -> Tensor:
        return (image * self.weight).sum(dim=(1, 2, 3))


class _Square(nn.Module):
    """D(x) = |x|^2 / 2: the gradient is x."""

    def forward(self, image: Tensor) -> Tensor:
        return image.square().sum(dim=(1, 2, 3)) / 2


def _samples() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(4, 3, 5, 5), torch.rand(4, 3, 5, 5), torch.tensor([0.0, 0.25, 0.5, 1.0])


def test_penalty_of_a_linear_critic_is_that_of_its_weight() -> None:
    real, fake, mix = _samples()
    critic = _Linear(torch.rand(3, 5, 5))
    penalty = gradient_penalty(critic, real, fake, mix)
    norm = critic.weight.detach().norm()
    assert penalty.item() == pytest.approx((norm.item() - 1) ** 2, rel=1e-5)
    penalty.backward()
    expected = 2 * (norm - 1) * critic.weight.detach() / norm
    torch.testing.assert_close(critic.weight.grad, expected)


def test_penalty_is_taken_per_sample_on_interpolates() -> None:
    real, fake, mix = _samples()
    between = mix.view(-1, 1, 1, 1) * real + (1 - mix.view(-1, 1, 1, 1)) * fake
    norms = between.flatten(1).norm(dim=1)
    expected = (norms - 1).square().mean().item()
    assert gradient_penalty(_Square(), real, fake, mix).item() == pytest.approx(expected, rel=1e-5)


def test_a_flat_critic_has_a_finite_derivative() -> None:
    critic = _Linear(torch.zeros(3, 5, 5))
    penalty = gradient_penalty(critic, *_samples())
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)
    penalty.backward()
    assert critic.weight.grad is not None
    assert torch.isfinite(critic.weight.grad).all()


def test_penalty_stays_float32_inside_autocast() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(75, 1), nn.Flatten(0))
    samples = _samples()
    expected = gradient_penalty(critic, *samples)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradient_penalty(critic, *samples)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    _, through_loss = CriticLoss(critic, "bf16")(*samples)
    assert torch.equal(through_loss, expected)


def test_critic_loss_is_minus_the_distance() -> None:
    real, fake, mix = _samples()
    critic = _Linear(torch.ones(3, 5, 5))
    difference, _ = CriticLoss(critic, "fp32")(real, fake, mix)
    expected = (fake.sum() - real.sum()).item() / 4
    assert difference.item() == pytest.approx(expected, rel=1e-4)


def test_interpolation_depends_on_seed_and_batch_alone() -> None:
    mix = interpolation(3, 7, 5)
    assert mix.shape == (5,)
    assert torch.equal(mix, interpolation(3, 7, 5))
    assert not torch.equal(mix, interpolation(3, 8, 5))
    assert not torch.equal(mix, interpolation(4, 7, 5))
    assert (mix >= 0).all() and (mix < 1).all()
