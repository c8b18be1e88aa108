from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from numpy.typing import NDArray
from PIL import Image
from torch import nn

from dggn.training import vgg19
from dggn.training.loss_config import PerceptualConfig
from dggn.training.perceptual import PerceptualLoss, open_perceptual
from dggn.training.squeezenet import SqueezeNet, read_squeezenet
from dggn.training.vgg19 import Vgg19
from runtime.errors import ConfigError, EnvironmentProblem, ModelError

COFFEE = Path(__file__).parents[4] / "examples" / "coffee.jpg"
ESPRESSO = 967


@pytest.fixture
def sequence() -> nn.Sequential:
    """VGG19's `features`, laid out as torchvision does, with few channels."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for block, count in enumerate((2, 2, 4, 4, 4), start=2):
        for _ in range(count):
            layers += [nn.Conv2d(channels, block, 3, padding=1), nn.ReLU()]
            channels = block
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.fixture
def vgg19_file(tmp_path: Path, sequence: nn.Sequential) -> Path:
    """Its weights as a file of torchvision's kind."""
    path = tmp_path / "vgg19.pth"
    weights = {f"features.{name}": tensor for name, tensor in sequence.state_dict().items()}
    torch.save({**weights, "classifier.0.weight": torch.zeros(1)}, path)
    return path


def _vgg19(path: Path, *layers: str) -> PerceptualLoss:
    return open_perceptual(PerceptualConfig(weights=str(path), layers=layers))


def test_vgg19_is_torchvisions(vgg19_file: Path, sequence: nn.Sequential) -> None:
    # torchvision's indices of these convolutions, from its documentation of VGG19.
    layers = {"conv1_1": 0, "conv1_2": 2, "conv2_2": 7, "conv3_4": 16, "conv4_4": 25, "conv5_4": 34}
    image = torch.rand(2, 3, 32, 32)
    features = _vgg19(vgg19_file, *layers).network(image)
    mean, deviation = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    for found, index in zip(features, layers.values(), strict=True):
        expected = sequence[: index + 1]((image - mean) / deviation)
        torch.testing.assert_close(found, expected)


def test_loss_is_the_mean_of_the_layers(vgg19_file: Path) -> None:
    image, target = torch.rand(2, 1, 3, 32, 32).unbind()
    one, other = (_vgg19(vgg19_file, layer)(image, target) for layer in ("conv1_2", "conv3_1"))
    both = _vgg19(vgg19_file, "conv1_2", "conv3_1")(image, target)
    torch.testing.assert_close(both, (one + other) / 2)
    assert _vgg19(vgg19_file)(image, target) == _vgg19(vgg19_file, "conv5_4")(image, target)
    assert _vgg19(vgg19_file)(target, target) == 0


def test_only_the_picture_is_differentiated(vgg19_file: Path) -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    target = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss = _vgg19(vgg19_file, "conv2_1")
    loss(image, target).backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert target.grad is None
    assert not list(loss.parameters())


@pytest.fixture
def site(tmp_path: Path, vgg19_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for torchvision's site; torch.hub keeps its files in `home`."""
    folder = tmp_path / "site"
    folder.mkdir()
    start = hashlib.sha256(vgg19_file.read_bytes()).hexdigest()[:8]
    vgg19_file.rename(folder / f"vgg19-{start}.pth")
    monkeypatch.setattr(vgg19, "URL", (folder / f"vgg19-{start}.pth").as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return folder


def test_where_vgg19_comes_from() -> None:
    assert vgg19.URL == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"


def test_vgg19_is_downloaded_once(site: Path) -> None:
    image, target = torch.rand(2, 1, 3, 32, 32).unbind()
    loss = open_perceptual(PerceptualConfig())(image, target)
    (kept,) = (site.parent / "home" / "hub" / "checkpoints").iterdir()
    (original,) = site.iterdir()
    assert kept.name == original.name
    original.unlink()
    assert open_perceptual(PerceptualConfig())(image, target) == loss
    # A damaged copy is named, so that it can be removed.
    for content in (b"", b"not a checkpoint", kept.read_bytes()[:1000]):
        kept.write_bytes(content)
        with pytest.raises(ModelError, match=rf"{kept.name} is damaged.*downloaded again"):
            open_perceptual(PerceptualConfig())


def test_vgg19_that_cannot_be_downloaded(site: Path) -> None:
    (original,) = site.iterdir()
    content = original.read_bytes()
    original.write_bytes(content + b"more")
    with pytest.raises(EnvironmentProblem, match=r"invalid hash value"):
        open_perceptual(PerceptualConfig())
    original.unlink()
    with pytest.raises(EnvironmentProblem, match=r"cannot be had from .*another machine.*squeeze"):
        open_perceptual(PerceptualConfig())
    assert not list((site.parent / "home" / "hub" / "checkpoints").iterdir())


def test_vgg19_of_the_real_shape() -> None:
    indices = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    widths = [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    weights, before = {}, 3
    with torch.device("meta"):
        for index, width in zip(indices, widths, strict=True):
            weights[f"features.{index}.weight"] = torch.zeros(width, before, 3, 3)
            weights[f"features.{index}.bias"] = torch.zeros(width)
            before = width
        (features,) = Vgg19(weights, ("conv5_4",)).to("meta")(torch.zeros(1, 3, 192, 192))
    assert features.shape == (1, 512, 12, 12)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_vgg19_files_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "vgg19.pth"
    if content is None:
        torch.save({"features.0.weight": torch.zeros(2, 3, 3, 3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"vgg19-dcbb9e9d\.pth"):
        _vgg19(path)


def test_a_list_and_a_missing_file_are_no_vgg19(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="holds no weights by name"):
        _vgg19(tmp_path / "list.pth")
    with pytest.raises(ModelError, match="does not exist"):
        _vgg19(tmp_path / "none.pth")


def test_unknown_layers(vgg19_file: Path, squeezenet_file: Path) -> None:
    with pytest.raises(ConfigError, match="VGG19 has no layer 'conv5_5'"):
        _vgg19(vgg19_file, "conv5_5")
    config = PerceptualConfig(network="squeezenet", weights=str(squeezenet_file), layers=("fire1",))
    with pytest.raises(ConfigError, match="SqueezeNet has no layer 'fire1'"):
        open_perceptual(config)


def test_squeezenet_by_the_same_interface(squeezenet_file: Path) -> None:
    image, target = torch.rand(2, 1, 3, 64, 64).unbind()
    config = PerceptualConfig(
        network="squeezenet", weights=str(squeezenet_file), layers=("conv1", "fire4", "fire9")
    )
    loss = open_perceptual(config)
    sizes = [features.shape[-1] for features in loss.network(image)]
    assert sizes == [29, 14, 3]
    assert loss(image, target) > 0
    assert loss(target, target) == 0


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
    with pytest.raises(ModelError, match="of another kind: expected an .npz file"):
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
