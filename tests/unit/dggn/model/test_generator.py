from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator


@pytest.mark.parametrize("size", [(8, 8), (16, 24)])
def test_output_is_four_times_as_large(tiny_config: GeneratorConfig, size: tuple[int, int]) -> None:
    height, width = size
    output = Generator(tiny_config)(torch.rand(2, 3, height, width))
    assert output.shape == (2, 3, 4 * height, 4 * width)
    assert output.dtype == torch.float32


def test_training_output_has_the_same_pictures(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    image = torch.rand(1, 3, 16, 16)
    output, gradient = generator.forward_with_gradient(image)
    assert torch.equal(output, generator(image))
    assert gradient is not None
    assert gradient.shape == output.shape


@pytest.mark.parametrize("grouped", [True, False])
def test_only_units_have_groups_and_only_where_they_are_wanted(
    tiny_config: GeneratorConfig, grouped: bool
) -> None:
    """On CUDA nothing is grouped: not the branches, and not the fixed gradient operator."""
    groups: set[int] = set()

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is torch.ops.aten.convolution.default:
                groups.add(args[8])
            return func(*args, **(kwargs or {}))

    generator = Generator(tiny_config)
    generator.group_branches(grouped)
    with Recorder():
        generator.forward_with_gradient(torch.rand(1, 3, 16, 16))
    assert groups == ({1, 2} if grouped else {1})


def test_without_gradient_branch(tiny_config: GeneratorConfig) -> None:
    generator = Generator(replace(tiny_config, gradient_units=0))
    image = torch.rand(1, 3, 8, 8)
    output, gradient = generator.forward_with_gradient(image)
    assert gradient is None
    assert output.shape == (1, 3, 32, 32)
    assert torch.equal(output, generator(image))
    assert not [name for name in generator.state_dict() if name.startswith("gradient")]


def test_training_begins_at_the_bilinear_enlargement(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    image = torch.rand(2, 3, 8, 16)
    output, gradient = generator.forward_with_gradient(image)
    enlarged = F.interpolate(image, scale_factor=4, mode="bilinear")
    torch.testing.assert_close(output, enlarged, rtol=0, atol=1e-6)
    magnitude = F.interpolate(generator.gradient(image), scale_factor=4, mode="bilinear")
    torch.testing.assert_close(gradient, magnitude, rtol=0, atol=1e-6)


def test_every_parameter_takes_part_in_training(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    output, gradient = generator.forward_with_gradient(torch.rand(1, 3, 16, 16))
    assert gradient is not None
    (output.sum() + gradient.sum()).backward()
    without = [name for name, value in generator.named_parameters() if value.grad is None]
    assert without == []


def test_gradient_branch_takes_in_image_features(tiny_config: GeneratorConfig) -> None:
    # With its own input silenced, the branch's prediction still depends on the image trunk.
    generator = Generator(tiny_config)
    torch.nn.init.normal_(generator.gradient_tail.last.weight)
    image = torch.rand(1, 3, 8, 8)
    _, before = generator.forward_with_gradient(image)
    with torch.no_grad():
        for parameter in generator.image_trunk.parameters():
            parameter.mul_(2)
    _, after = generator.forward_with_gradient(image)
    assert before is not None
    assert after is not None
    assert not torch.equal(before, after)


def test_kernels_are_never_trained(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    assert not [name for name, _ in generator.named_parameters() if "kernel" in name]
    before = [kernel.clone() for kernel in generator.gradient.buffers()]
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        output, gradient = generator.forward_with_gradient(torch.rand(1, 3, 8, 8))
        assert gradient is not None
        (output.square().mean() + gradient.mean()).backward()
        optimizer.step()
    assert all(map(torch.equal, before, generator.gradient.buffers()))


def test_sizes_off_the_multiple_fail_loudly(tiny_config: GeneratorConfig) -> None:
    with pytest.raises(RuntimeError):
        Generator(tiny_config)(torch.rand(1, 3, 12, 12))
