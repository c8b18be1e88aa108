from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

from calibration.prepare.source import read_model
from calibration.search.layer_macs import layer_macs
from calibration.search.place import find_layers


@pytest.mark.parametrize("sample_type", ["half", "bytes"])
def test_macs_of_a_generator(models: dict[str, Path], sample_type: str) -> None:
    source = read_model(models[sample_type], "tensorrt")
    found = layer_macs(source.model, find_layers(source.model, "tensorrt"), source.info)
    # The smallest picture has 8x8 px, and units work at half of that; their width is 16.
    assert source.info.size_multiple_px == 8
    pixels, width = 4 * 4, 16
    assert found["image_trunk.0.enter"] == pixels * width * 4 * width
    assert found["image_trunk.0.conv5x5"] == pixels * 2 * width * width * 25
    assert found["image_upsampler.steps.0"] == pixels * width * (4 * 8) * 9


def test_parts_of_a_layer_count_together(models: dict[str, Path]) -> None:
    whole, parts = (read_model(models["half"], target) for target in ("tensorrt", "cpu"))
    name = "image_trunk.0.conv3x3"
    (one,) = (layer for layer in find_layers(whole.model, "tensorrt") if layer.name == name)
    (other,) = (layer for layer in find_layers(parts.model, "cpu") if layer.name == name)
    assert len(one.nodes) == 1
    assert len(other.nodes) == 2
    assert layer_macs(whole.model, [one], whole.info) == layer_macs(
        parts.model, [other], parts.info
    )
