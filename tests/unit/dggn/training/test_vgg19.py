"""VGG19's features and weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn

from dggn.training import vgg19
from dggn.training.loss_config import PerceptualConfig
from dggn.training.perceptual import PerceptualLoss, open_perceptual
from dggn.training.vgg19 import Vgg19
from runtime.errors import EnvironmentProblem, ModelError


def opened(path: Path, *layers: str) -> PerceptualLoss:
    return open_perceptual(PerceptualConfig(weights=str(path), layers=layers))


def test_vgg19_is_torchvisions(vgg19_file: Path, sequence: nn.Sequential) -> None:
    # torchvision's indices of these convolutions, from its documentation of VGG19.
    layers = {"conv1_1": 0, "conv1_2": 2, "conv2_2": 7, "conv3_4": 16, "conv4_4": 25, "conv5_4": 34}
    image = torch.rand(2, 3, 32, 32)
    features = opened(vgg19_file, *layers).network(image)
    mean, deviation = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    for found, index in zip(features, layers.values(), strict=True):
        expected = sequence[: index + 1]((image - mean) / deviation)
        torch.testing.assert_close(found, expected)


@pytest.fixture
def site(tmp_path: Path, vgg19_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of torchvision's site; torch.hub stores its files in `home`."""
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
    with pytest.raises(
        EnvironmentProblem, match=r"cannot be downloaded from .*another machine.*squeeze"
    ):
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
        opened(path)


def test_a_list_and_a_missing_file_are_no_vgg19(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="holds no weights by name"):
        opened(tmp_path / "list.pth")
    with pytest.raises(ModelError, match="does not exist"):
        opened(tmp_path / "none.pth")
