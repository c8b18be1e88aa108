from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
pytest.importorskip("onnxscript", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the export extra")

import onnx
from torch import Tensor, nn

from dggn.model.community import CommunityConfig, CommunityModel, read_module
from dggn.model.picture import super_resolve
from export.graph import default_halo_px
from export.write import ExportOptions, write_onnx
from runtime.errors import ModelError
from runtime.upscaler import Upscaler


def community(multiple: int) -> CommunityModel:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )
    config = CommunityConfig(architecture="Small", scale=2, size_multiple_px=multiple)
    return CommunityModel(network, config).eval()


@pytest.mark.parametrize("multiple", [1, 4])
def test_other_architectures_are_exported_the_same_way(multiple: int, tmp_path: Path) -> None:
    module = community(multiple)
    halo_px = default_halo_px(module)
    assert halo_px == 32
    options = ExportOptions(
        sample_type="float32", weights="float32", halo_px=halo_px, origin="a test"
    )
    comparison = write_onnx(module, tmp_path / "small.onnx", options)
    assert comparison.passes
    properties = {
        entry.key: entry.value for entry in onnx.load(tmp_path / "small.onnx").metadata_props
    }
    assert properties["dggn.preset"] == "Small"
    assert "dggn.generator" not in properties
    y, x = np.mgrid[0:33, 0:45]
    photo = np.stack([5 * x, 7 * y, (x * y) % 256], axis=-1).astype(np.uint8)
    with Upscaler(tmp_path / "small.onnx", threads=1) as upscaler:
        assert (upscaler.info.scale, upscaler.info.size_multiple_px) == (2, multiple)
        whole = super_resolve(module, photo)
        assert np.abs(upscaler(photo).astype(int) - whole).max() <= 1


def test_a_checkpoint_of_the_real_spandrel_is_exported(tmp_path: Path) -> None:
    try:
        from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the community extra, and torch's own torchvision ({error})")
    torch.manual_seed(0)
    network = RRDBNet(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4)
    torch.save(network.state_dict(), tmp_path / "esrgan.pth")
    module = read_module(tmp_path / "esrgan.pth")
    options = ExportOptions(
        sample_type="float32", weights="float32", halo_px=default_halo_px(module), origin="a test"
    )
    assert write_onnx(module, tmp_path / "esrgan.onnx", options).passes
    y, x = np.mgrid[0:33, 0:45]
    photo = np.stack([5 * x, 7 * y, (x * y) % 256], axis=-1).astype(np.uint8)
    with Upscaler(tmp_path / "esrgan.onnx", threads=1) as upscaler:
        assert upscaler.info.scale == 4
        whole = super_resolve(module, photo)
        assert np.abs(upscaler(photo).astype(int) - whole).max() <= 1


def test_a_network_that_cannot_be_exported(tmp_path: Path) -> None:
    class Stubborn(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            # What a graph cannot hold: Python decides by a pixel.
            return image if image.mean() > 0.5 else -image

    config = CommunityConfig(architecture="Stubborn", scale=2, size_multiple_px=1)
    options = ExportOptions(sample_type="float32", weights="float32", halo_px=0, origin="a test")
    with pytest.raises(ModelError, match="PyTorch cannot export Stubborn to ONNX"):
        write_onnx(CommunityModel(Stubborn(), config).eval(), tmp_path / "never.onnx", options)
    assert not list(tmp_path.iterdir())
