from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dggn.model.complexity import flops, parameter_count, receptive_field_px
from dggn.model.config import GeneratorConfig, preset
from dggn.model.generator import Generator, Tail
from runtime.errors import ModelError


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
    # Fixed parts are not Conv2d modules: the bilinear skip's 3x3 from 3 channels to 48.
    total += 2 * (48 * 3 * 3 * 3) * 16 * 24
    assert counted == total


def test_work_is_proportional_to_the_area(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, 3, 24, 40))
    assert counter.get_total_flops() == flops(generator, 24, 40)


def test_prediction_of_the_gradient_is_not_counted(tiny_config: GeneratorConfig) -> None:
    generator = Generator(tiny_config)
    before = flops(generator, 50, 50)
    generator.gradient_tail = Tail(8, width=64, convs=3)
    assert flops(generator, 50, 50) == before


def test_ablation_costs_less(tiny_config: GeneratorConfig) -> None:
    whole, ablated = Generator(tiny_config), Generator(replace(tiny_config, gradient_units=0))
    assert parameter_count(ablated) < parameter_count(whole)
    assert flops(ablated, 50, 50) < flops(whole, 50, 50)


def test_receptive_field_of_convolutions_by_hand(tiny_config: GeneratorConfig) -> None:
    # (k - 1) times the layer's pitch in LR px: 2 and 4 of the extractor, 8 for each of the two
    # units, 4 of the join, 4 and 2 of the tail, and 1 for the pixel itself are 33; results that
    # straddle a trunk pixel see 1 more.
    ablated = replace(tiny_config, gradient_units=0)
    field = receptive_field_px(ablated, squeeze_excitation=False)
    assert field == 34
    more = receptive_field_px(replace(ablated, image_units=3), squeeze_excitation=False)
    assert more == field + 2 * 4
    wider = receptive_field_px(replace(ablated, width=16), squeeze_excitation=False)
    assert wider == field


def test_receptive_field_is_where_gradients_are(tiny_config: GeneratorConfig) -> None:
    torch.manual_seed(0)
    generator = Generator(replace(tiny_config, image_units=1, gradient_units=0)).eval()
    nn.init.normal_(generator.image_tail.last.weight)  # it begins at zero
    counts = []
    for pixel in range(32):
        strip = torch.rand(1, 3, 8, 160, requires_grad=True)
        generator(strip)[0, 0, 16, 4 * 80 + pixel].backward()
        assert strip.grad is not None
        (columns,) = strip.grad.abs().sum((0, 1, 2)).nonzero(as_tuple=True)
        counts.append(int(columns[-1] - columns[0]) + 1)
    assert receptive_field_px(generator.config, squeeze_excitation=True) == max(counts)


def test_windows_of_squeeze_excitation_reach_further(tiny_config: GeneratorConfig) -> None:
    alone = receptive_field_px(tiny_config, squeeze_excitation=False)
    assert receptive_field_px(tiny_config, squeeze_excitation=True) > alone + 32


def test_an_onnx_file_costs_what_its_module_does(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs the export extra")
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    from dggn.model.onnx_costs import onnx_costs
    from dggn.model.shipped import load
    from runtime.model.info import DEFAULT_MODEL, model_path

    module = load()
    path = model_path(DEFAULT_MODEL)
    parameters, operations = onnx_costs(path, 16, 24)
    # The module subtracts pixels where the file has two kernels of three taps, from three channels
    # to three.
    assert operations == flops(module, 16, 24) + 2 * (2 * 3 * 3 * 3) * 16 * 24
    # The graph has the gradient's kernels and a few constants besides.
    assert parameters == pytest.approx(parameter_count(module), rel=0.001)
    with pytest.raises(ModelError, match="does not take a float32 picture of 10x10 px"):
        onnx_costs(path, 10, 10)
    (tmp_path / "damaged.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="damaged.onnx"):
        onnx_costs(tmp_path / "damaged.onnx", 16, 16)
