from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

from calibration.prepare.freeze_excitation import freeze_excitation
from calibration.prepare.source import read_model
from calibration.prepare.tiles import Tile, sample_tiles
from calibration.search.receptive_field import receptive_field_px
from dggn.data.pairs import read_pairs
from runtime.model.info import model_path


@pytest.fixture(scope="module")
def tiles(photographs: Path) -> list[Tile]:
    return sample_tiles(read_pairs([photographs]), count=2, tile_px=16)


@pytest.mark.parametrize(("model", "reach"), [("dggn-lite", 24), ("dggn-lite-photo", 32)])
def test_half_the_receptive_field_of_a_shipped_model(
    tiles: list[Tile], model: str, reach: int
) -> None:
    """`dggn-eval complexity` derives as much from the structure: half of it, in blocks of 8."""
    source = read_model(model_path(model))
    assert receptive_field_px(source, 64) is None, "its gates see far"
    frozen = freeze_excitation(source, tiles)
    assert receptive_field_px(frozen, 64) == reach
    assert receptive_field_px(frozen, reach) == reach
    assert receptive_field_px(frozen, reach - 8) is None


@pytest.mark.parametrize("name", ["half", "bytes"])
def test_that_far_and_no_further_a_pixel_counts(
    models: dict[str, Path], tiles: list[Tile], name: str
) -> None:
    source = read_model(models[name])
    frozen = freeze_excitation(source, tiles)
    reach = receptive_field_px(frozen, 128)
    wide = receptive_field_px(source, 128)
    assert reach is not None
    assert wide is not None
    assert 0 < reach < wide
    # The same, whatever is of interest.
    assert receptive_field_px(frozen, reach) == reach
    assert receptive_field_px(frozen, reach - 8) is None


def test_gradients_say_the_same(models: dict[str, Path], tiles: list[Tile]) -> None:
    """PyTorch's own way: which input pixels have a gradient at all, with weights of one sign."""
    torch = pytest.importorskip("torch")
    from dggn.model.shipped import load

    generator = load(str(models["half"]))
    config = generator.config
    image = torch.rand((1, 3, 160, 160), requires_grad=True)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.abs_().mul_(0.1)  # so that no gate is saturated
    start, block = 80, config.size_multiple_px
    output = generator(image)
    first, last = config.scale * start, config.scale * (start + block)
    output[..., first:last, first:last].sum().backward()
    rows, columns = np.nonzero(image.grad.abs().sum(dim=(0, 1)).numpy())
    reached = max(
        start - int(rows.min()),
        int(rows.max()) - (start + block - 1),
        start - int(columns.min()),
        int(columns.max()) - (start + block - 1),
    )
    found = receptive_field_px(read_model(models["half"]), 128)
    assert found == -(-reached // block) * block
