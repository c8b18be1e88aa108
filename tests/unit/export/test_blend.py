from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
pytest.importorskip("onnxscript", reason="needs the export extra")

import onnx

import dggn
from dggn.model.checkpoint import save_generator
from dggn.model.community import CommunityConfig, CommunityModel
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from export import blend as blend_module
from export.blend import read_blend
from export.write import ExportOptions, write_onnx
from runtime.errors import ConfigError, ModelError
from runtime.model.info import DEFAULT_MODEL, ModelInfo

CONFIG = GeneratorConfig(width=8, image_units=2, gradient_units=1, tail_width=4, se_reduction=2)


@pytest.fixture
def checkpoints(tmp_path: Path) -> tuple[str, str]:
    paths = (tmp_path / "psnr.safetensors", tmp_path / "gan.safetensors")
    for path in paths:
        save_generator(path, Generator(CONFIG))
    return str(paths[0]), str(paths[1])


def test_weights_are_interpolated_and_kernels_kept(checkpoints: tuple[str, str]) -> None:
    first, second = (read_blend(*checkpoints, share)[0] for share in ("1", "0"))
    blended, origin = read_blend(*checkpoints, "0.8")
    assert origin == "0.8 of psnr.safetensors and 0.2 of gan.safetensors"
    assert not blended.training
    ends = (dict(first.named_parameters()), dict(second.named_parameters()))
    for name, weight in blended.named_parameters():
        one, other = ends[0][name], ends[1][name]
        torch.testing.assert_close(weight, 0.8 * one + 0.2 * other)
    for name, kernel in blended.named_buffers():
        assert torch.equal(kernel, first.get_buffer(name))


def test_an_exported_model_and_a_checkpoint(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    target = tmp_path / "blend.onnx"
    blended, origin = read_blend(*checkpoints, "0.25")
    options = ExportOptions(sample_type="float32", weights="float32", halo_px=16, origin=origin)
    write_onnx(blended, target, options)
    properties = {one.key: one.value for one in onnx.load(target).metadata_props}
    info = ModelInfo.from_metadata(properties, where="blend")
    assert info.origin == "0.25 of psnr.safetensors and 0.75 of gan.safetensors"
    again, _ = read_blend(str(target), checkpoints[0], "1")
    for name, weight in again.named_parameters():
        assert torch.equal(weight, blended.get_parameter(name))


def test_shipped_names(tmp_path: Path) -> None:
    shipped = dggn.load(DEFAULT_MODEL)
    blended, origin = read_blend(DEFAULT_MODEL, DEFAULT_MODEL, "0.5")
    assert origin == f"0.5 of {DEFAULT_MODEL} and 0.5 of {DEFAULT_MODEL}"
    for name, weight in blended.named_parameters():
        assert torch.equal(weight, shipped.get_parameter(name))


def test_different_structures_are_refused(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_generator(other, Generator(replace(CONFIG, gradient_units=0)))
    with pytest.raises(ModelError, match=r"different structures \(gradient_units is 1 and 0\)"):
        read_blend(checkpoints[0], str(other), "0.5")


def test_one_that_keeps_colours_and_one_that_does_not(tmp_path: Path) -> None:
    config = replace(CONFIG, keeps_colours=True)
    for name, one in (("keeps", config), ("shifts", CONFIG)):
        save_generator(tmp_path / f"{name}.safetensors", Generator(one))
    names = str(tmp_path / "keeps.safetensors"), str(tmp_path / "shifts.safetensors")
    with pytest.raises(
        ModelError, match=r"keeps_colours is True and False\): --keep-colours makes"
    ):
        read_blend(*names, "0.5")
    assert read_blend(*names, "0.5", keep_colours=True)[0].config == config


def test_other_architectures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CommunityConfig(architecture="ESRGAN", scale=4, size_multiple_px=1)
    foreign = CommunityModel(torch.nn.Identity(), config)
    monkeypatch.setattr(blend_module, "read_generator", lambda source: foreign)
    with pytest.raises(ModelError, match=r"a\.pth is of another architecture \(ESRGAN\)"):
        read_blend("a.pth", "b.pth", "0.5")


def test_files_of_8_bits_are_blended_as_they_compute(
    checkpoints: tuple[str, str], tmp_path: Path
) -> None:
    files = [str(tmp_path / f"{number}.onnx") for number in range(2)]
    options = ExportOptions(sample_type="float32", weights="int8", halo_px=16, origin="a test")
    for file, checkpoint in zip(files, checkpoints, strict=True):
        write_onnx(read_blend(checkpoint, checkpoint, "1")[0], Path(file), options)
    blended, _ = read_blend(files[0], files[1], "0.25")
    one, other = (dict(dggn.load(file).named_parameters()) for file in files)
    for name, weight in blended.named_parameters():
        torch.testing.assert_close(weight, 0.25 * one[name] + 0.75 * other[name])


@pytest.mark.parametrize("share", ["1.1", "-0.1", "nan", "half"])
def test_shares_that_make_no_sense(checkpoints: tuple[str, str], share: str) -> None:
    with pytest.raises(ConfigError, match=f"--blend A B {share}: expected the share of A"):
        read_blend(*checkpoints, share)
