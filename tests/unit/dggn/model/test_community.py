from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("safetensors", reason="needs the train extra")

from torch import Tensor, nn

from dggn.metrics.fidelity import peak_signal_noise_ratio
from dggn.metrics.systems import open_system
from dggn.model.checkpoint import save_generator
from dggn.model.community import CommunityModel, _described, load_community, read_module
from dggn.model.complexity import flops, parameter_count
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.model.picture import super_resolve
from runtime.errors import MissingDependency, ModelError

STAND_IN = '''
"""The part of spandrel in use, for a x2 network with a transposed convolution."""

from types import SimpleNamespace

import torch


class UnsupportedModelError(Exception):
    pass


class ModelLoader:
    def load_from_file(self, path):
        weights = torch.load(path, weights_only=True)
        if "up.weight" not in weights:
            raise UnsupportedModelError("nothing of that kind")
        model = torch.nn.Sequential()
        model.add_module("up", torch.nn.ConvTranspose2d(3, 3, 2, stride=2))
        model.load_state_dict(weights)
        return SimpleNamespace(
            model=model.half(),
            architecture=SimpleNamespace(name="Doubler"),
            scale=2,
            input_channels=weights.get("channels", 3),
            output_channels=3,
            size_requirements=SimpleNamespace(minimum=8, multiple_of=4, square=False),
        )
'''


@pytest.fixture
def other_spandrel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose `spandrel.py` is imported instead of the real package."""
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_spandrel(name)}
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("spandrel", None)
    sys.modules.update(real)


def _is_spandrel(name: str) -> bool:
    return name.partition(".")[0] == "spandrel"


@pytest.fixture
def stand_in(other_spandrel: Path) -> Path:
    """A folder with a module called spandrel, and a checkpoint for it."""
    tmp_path = other_spandrel
    (tmp_path / "spandrel.py").write_text(STAND_IN)
    weights = {"up.weight": torch.zeros(3, 3, 2, 2), "up.bias": torch.zeros(3)}
    for channel in range(3):
        weights["up.weight"][channel, channel] = 1
    torch.save(weights, tmp_path / "doubler.pth")
    return tmp_path


def test_a_community_checkpoint_super_resolves(stand_in: Path, photo: NDArray[np.uint8]) -> None:
    module = read_module(stand_in / "doubler.pth")
    assert isinstance(module, CommunityModel)
    assert not module.training
    assert module.config.architecture == "Doubler"
    assert module.config.scale == 2
    assert module.config.size_multiple_px == 8
    small = photo[:13, :21]
    assert np.array_equal(super_resolve(module, small), small.repeat(2, 0).repeat(2, 1))
    assert parameter_count(module) == 3 * 3 * 4 + 3
    assert flops(module, 10, 10) == 2 * 100 * 3 * 3 * 4


class Folding(nn.Module):
    """Folds its branches in every call, like SPAN."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = torch.nn.Conv2d(3, 3, 1)
        self.folded = torch.nn.Conv2d(3, 3, 1)

    def update_params(self) -> None:
        self.folded.weight.data = 2 * self.branch.weight.data
        self.folded.bias.data = 2 * self.branch.bias.data

    def forward(self, image: Tensor) -> Tensor:
        self.update_params()
        result: Tensor = self.folded(image)
        return result


def test_a_network_that_replaces_its_weights_does_so_once() -> None:
    """PyTorch crashes when exporting a network that does so in its calls."""
    descriptor = SimpleNamespace(
        model=torch.nn.Sequential(Folding()),
        architecture=SimpleNamespace(name="Folding"),
        scale=1,
        input_channels=3,
        output_channels=3,
        size_requirements=SimpleNamespace(minimum=0, multiple_of=1, square=False),
    )
    module = _described(descriptor, Path("folding.pth"))
    (folding,) = module.network.children()
    assert isinstance(folding, Folding)
    weights = folding.folded.weight.data_ptr()
    result = module(torch.ones(1, 3, 4, 4))
    assert folding.folded.weight.data_ptr() == weights
    torch.testing.assert_close(result, 2 * folding.branch(torch.ones(1, 3, 4, 4)))


def test_a_real_span_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the export extra")
    try:
        from spandrel.architectures.SPAN import SPAN
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the community extra, and torch's own torchvision ({error})")
    from export.graph import default_halo_px
    from export.write import ExportOptions, write_onnx

    torch.manual_seed(0)
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2, norm=False)
    torch.save({"params": network.state_dict()}, tmp_path / "span.pth")
    module = read_module(tmp_path / "span.pth")
    options = ExportOptions(
        sample_type="float32", weights="float32", halo_px=default_halo_px(module), origin="a test"
    )
    assert write_onnx(module, tmp_path / "span.onnx", options).passes


def test_our_own_checkpoints_need_no_spandrel(tmp_path: Path, tiny_config: GeneratorConfig) -> None:
    save_generator(tmp_path / "ours.safetensors", Generator(tiny_config))
    assert isinstance(read_module(tmp_path / "ours.safetensors"), Generator)


def test_unusable_files_are_named(stand_in: Path) -> None:
    torch.save({"other": torch.zeros(1)}, stand_in / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth is of an architecture .*does not know"):
        load_community(stand_in / "other.pth")
    (stand_in / "damaged.pth").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"damaged\.pth is damaged"):
        load_community(stand_in / "damaged.pth")
    with pytest.raises(ModelError, match="does not exist"):
        load_community(stand_in / "none.pth")


def test_spandrel_that_is_missing_or_broken(
    other_spandrel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path = other_spandrel
    torch.save({}, tmp_path / "any.pth")
    (tmp_path / "spandrel.py").write_text('raise RuntimeError("operator nms does not exist")')
    with pytest.raises(MissingDependency, match=r"cannot be imported \(operator nms"):
        load_community(tmp_path / "any.pth")
    monkeypatch.setattr("runtime.system.package.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"dggn\[community\]"):
        load_community(tmp_path / "any.pth")


@pytest.fixture
def esrgan(tmp_path: Path) -> Path:
    """A small ESRGAN's checkpoint, where the real spandrel can be imported."""
    try:
        from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the community extra, and torch's own torchvision ({error})")
    torch.manual_seed(0)
    network = RRDBNet(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4)
    path = tmp_path / "esrgan.pth"
    torch.save(network.state_dict(), path)
    return path


def test_a_real_architecture(esrgan: Path, photo: NDArray[np.uint8]) -> None:
    module = load_community(esrgan)
    assert (module.config.architecture, module.config.scale) == ("ESRGAN", 4)
    assert super_resolve(module, photo[:20, :24]).shape == (80, 96, 3)
    with open_system(str(esrgan)) as super_resolve_esrgan:
        lr, hr = photo[:20, :24], photo[:80, :96]
        assert 0 < peak_signal_noise_ratio(super_resolve_esrgan(lr), hr) < 60


def test_files_that_the_real_spandrel_refuses(esrgan: Path) -> None:
    half = esrgan.with_name("half.pth")
    half.write_bytes(esrgan.read_bytes()[: esrgan.stat().st_size // 2])
    missing = torch.load(esrgan, weights_only=True)
    missing.popitem()
    torch.save(missing, esrgan.with_name("missing.pth"))
    torch.save([torch.zeros(1)], esrgan.with_name("list.pth"))
    for name in ("half", "missing", "list"):
        with pytest.raises(ModelError, match=rf"{name}\.pth is damaged or not a checkpoint"):
            load_community(esrgan.with_name(f"{name}.pth"))
    torch.save({"weight": torch.zeros(1)}, esrgan.with_name("other.pth"))
    with pytest.raises(ModelError, match=r"other\.pth is of an architecture .* ONNX"):
        load_community(esrgan.with_name("other.pth"))


def test_a_checkpoint_cannot_run_code(esrgan: Path) -> None:
    torch.save({"weight": Trap()}, esrgan.with_name("trap.pth"))
    with pytest.raises(ModelError, match=r"trap\.pth is damaged .*forbidden"):
        load_community(esrgan.with_name("trap.pth"))


class Trap:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)
