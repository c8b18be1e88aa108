from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn

from dggn.training.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(2, 8, 72), (3, 24, 6), (1, 16, 16)])
def test_orthogonalized_keeps_directions_and_levels_strengths(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    results = orthogonalized(matrices)
    assert results.shape == matrices.shape
    for matrix, result in zip(matrices, results, strict=True):
        left, strengths, right = torch.linalg.svd(matrix, full_matrices=False)
        levelled = (left.mT @ result @ right.mT).diagonal()
        clear = strengths > 0.1 * strengths.max()
        assert levelled[clear].min() > 0.6
        assert levelled.max() < 1.3
        # In the same directions: nothing is left beside the diagonal.
        rest = left.mT @ result @ right.mT - torch.diag(levelled)
        assert rest.abs().max() < 1e-4


def test_orthogonalized_takes_a_gradient_of_zero() -> None:
    assert torch.equal(orthogonalized(torch.zeros(1, 4, 9)), torch.zeros(1, 4, 9))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, padding=1, groups=2)
    )


def test_a_step_moves_kernels_by_the_rate_and_leaves_biases() -> None:
    trained = network()
    before = {name: value.detach().clone() for name, value in trained.named_parameters()}
    optimizer = Muon(trained, learning_rate=0.1)
    trained(torch.rand(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()
    for name, value in trained.named_parameters():
        moved = (value - before[name]).detach()
        if name.endswith("bias"):
            assert not moved.any()
            continue
        # A matrix for each group, so that a group's step does not depend on its neighbours.
        groups = 2 if name.startswith("2.") else 1
        for matrix in moved.reshape(groups, 8 // groups, -1):
            largest = torch.linalg.matrix_norm(matrix, ord=2).item()
            assert 0.06 < largest < 0.13


def test_kernels_without_a_gradient_stay() -> None:
    trained = network()
    kernel = dict(trained.named_parameters())["2.weight"]
    kernel.requires_grad_(False)
    before = kernel.clone()
    optimizer = Muon(trained, learning_rate=0.1)
    trained(torch.rand(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()
    assert torch.equal(kernel, before)
    assert not optimizer.state[kernel]


def test_the_momentum_survives_its_state() -> None:
    first, second = network(), network()
    optimizers = [Muon(one, learning_rate=0.05) for one in (first, second)]
    crops = torch.rand(4, 2, 3, 8, 8)
    for index, batch in enumerate(crops):
        if index == 2:
            optimizers[1] = Muon(second, learning_rate=0.05)
            optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
        for trained, optimizer in zip((first, second), optimizers, strict=True):
            optimizer.zero_grad()
            trained(batch).square().mean().backward()
            optimizer.step()
    assert torch.equal(first.state_dict()["0.weight"], second.state_dict()["0.weight"])
