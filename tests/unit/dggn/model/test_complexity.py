from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dggn.model.complexity import flops, parameter_count
from dggn.model.config import GeneratorConfig, preset
from dggn.model.generator import Generator


def test_flagship_meets_both_numbers_of_table_4() -> None:
    generator = Generator(preset("dggn"))
    assert parameter_count(generator) == pytest.approx(14.6e6, rel=0.02)
    assert flops(generator, 50, 50) == pytest.approx(23.7e9, rel=0.02)


def test_lite_is_cheap_enough_for_cpus() -> None:
    assert flops(Generator(preset("dggn-lite")), 50, 50) <= 2.4e9


def test_count_equals_a_sum_over_the_modules(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    counted = flops(generator, 16, 24)
    total = 0

    def add(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += 2 * output.numel() * module.weight[0].numel()

    for module in generator.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add)
    generator(torch.zeros(1, 3, 16, 24))
    # The fixed operator is no Conv2d module: two kernels of three taps on three channels.
    total += 2 * 2 * 3 * 3 * 16 * 24
    assert counted == total


def test_work_is_proportional_to_the_area(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, 3, 24, 40))
    assert counter.get_total_flops() == flops(generator, 24, 40)


def test_prediction_of_the_gradient_is_not_counted(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    before = flops(generator, 50, 50)
    generator.gradient_tail = nn.Conv2d(4, 3, 9, padding=4)
    assert flops(generator, 50, 50) == before


def test_ablation_costs_less(tiny_config: GeneratorConfig) -> None:
    whole, ablated = Generator(tiny_config), Generator(replace(tiny_config, gradient_units=0))
    assert parameter_count(ablated) < parameter_count(whole)
    assert flops(ablated, 50, 50) < flops(whole, 50, 50)
