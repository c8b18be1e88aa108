from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

from calibration.prepare.source import read_model
from calibration.search.layer_macs import layer_macs
from calibration.search.place import find_layers


@pytest.mark.parametrize("sample_type", ["half", "bytes"])
def test_macs_of_a_generator(models: dict[str, Path], sample_type: str) -> None:
    source = read_model(models[sample_type])
    found = layer_macs(source.model, find_layers(source.model), source.info)
    # The smallest picture has 8x8 px, and units work at half of that; their width is 16.
    assert source.info.size_multiple_px == 8
    pixels, width = 4 * 4, 16
    assert found["image_trunk.0.enter"] == pixels * width * 4 * width
    assert found["image_trunk.0.conv5x5"] == pixels * 2 * width * width * 25
    assert found["image_tail.enter"] == pixels * (2 * width) * (4 * 8) * 9
    # The last convolution works at LR resolution.
    assert found["image_tail.last"] == 4 * pixels * 8 * 48 * 9


def test_branches_of_a_layer_count_together(models: dict[str, Path]) -> None:
    source = read_model(models["half"])
    layers = {layer.name: layer for layer in find_layers(source.model)}
    branches = {"enter": 4, "conv3x3": 2, "conv5x5": 2, "leave3x3": 2, "leave5x5": 2, "fuse": 1}
    for part, count in branches.items():
        layer = layers[f"image_trunk.0.{part}"]
        assert len(layer.nodes) == count
        alone = [replace(layer, nodes=(node,)) for node in layer.nodes]
        each = [layer_macs(source.model, [one], source.info)[layer.name] for one in alone]
        assert layer_macs(source.model, [layer], source.info)[layer.name] == sum(each)
