"""SqueezeNet's features, from weights in Caffe's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from numpy.typing import NDArray
from PIL import Image

from dggn.training.squeezenet import SqueezeNet, read_squeezenet
from runtime.errors import ModelError

COFFEE = Path(__file__).parents[4] / "examples" / "coffee.jpg"
ESPRESSO = 967


def test_squeezenet_sees_caffes_colours(
    squeezenet_weights: dict[str, NDArray[np.float32]],
) -> None:
    network = SqueezeNet(squeezenet_weights, ("conv1",))
    # A picture of the mean colour is zero to the network: the bias is all that is left.
    mean_rgb = torch.tensor([123.0, 117.0, 104.0]).view(1, 3, 1, 1) / 255
    (features,) = network(mean_rgb.expand(1, 3, 16, 16))
    bias = torch.from_numpy(squeezenet_weights["conv1.bias"]).view(1, -1, 1, 1)
    torch.testing.assert_close(features, bias.expand_as(features), atol=1e-4, rtol=0)


def test_squeezenet_files_that_are_none(
    tmp_path: Path, squeezenet_weights: dict[str, NDArray[np.float32]]
) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_squeezenet(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ModelError, match="of another type: expected an .npz file"):
        read_squeezenet(tmp_path / "text.npz")
    del squeezenet_weights["fire5/conv3x3_2.bias"]
    with pytest.raises(ModelError, match="fire5/conv3x3_2 .*missing or of another shape"):
        SqueezeNet(squeezenet_weights, ("conv1",))


def test_squeezenet_recognizes_a_coffee(benchmark_folder: Path) -> None:
    path = benchmark_folder.parent / "perceptual" / "squeezenet1_0_imagenet.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    network = SqueezeNet(read_squeezenet(path), ("fire9",))
    with Image.open(COFFEE) as image:
        picture = np.array(image.convert("RGB").resize((227, 227)))
    batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    probability, number = network.classify(batch)[0].max(dim=0)
    assert number == ESPRESSO
    assert probability > 0.98
