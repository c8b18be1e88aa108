from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")

from dggn import load
from dggn.model.community import CommunityConfig, CommunityModel
from dggn.model.config import preset
from dggn.model.generator import Generator
from export import verify, write
from export.describe import describe
from export.round_weights import round_weights
from export.verify import compare
from export.write import ExportOptions, read_generator, with_colours_kept, write_onnx
from runtime.errors import ModelError, TargetError
from runtime.model.info import DEFAULT_MODEL, model_path
from runtime.system.files import remove_temporaries

OPTIONS = ExportOptions(sample_type="float32", weights="float32", halo_px=16, origin="a test")


@pytest.mark.parametrize("name", ["float32", "half", "int8"])
def test_the_module_comes_back(exported: dict[str, Path], small: Generator, name: str) -> None:
    rebuilt = load(str(exported[name]))
    assert rebuilt.config == small.config
    assert not rebuilt.training
    expected = copy.deepcopy(small)
    if name != "float32":
        round_weights(expected, "float16" if name == "half" else "int8")
    for key, tensor in expected.state_dict().items():
        assert torch.equal(rebuilt.state_dict()[key], tensor), key


def test_what_was_stored_in_8_bits_is_exported_again_without_loss(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    again = tmp_path / "again.onnx"
    options = replace(OPTIONS, weights="int8")
    write_onnx(read_generator(str(exported["int8"])), again, options)
    assert again.read_bytes() == exported["int8"].read_bytes()
    write_onnx(read_generator(str(again)), again, replace(OPTIONS, weights="float16"))
    for key, tensor in load(str(exported["int8"])).named_parameters():
        assert torch.equal(load(str(again)).get_parameter(key), tensor.half().float()), key


def test_the_shipped_model_comes_back_and_computes_the_same() -> None:
    generator = load()
    comparison = compare(model_path(DEFAULT_MODEL), generator)
    assert comparison.passes, str(comparison)
    assert comparison.levels == 65535
    assert comparison.samples > 500_000


def test_colours_are_kept_with_the_same_weights(small: Generator, tmp_path: Path) -> None:
    keeping = with_colours_kept(small, "small")
    assert keeping.config.keeps_colours
    assert write_onnx(keeping, tmp_path / "keeping.onnx", OPTIONS).passes
    rebuilt = load(str(tmp_path / "keeping.onnx"))
    assert rebuilt.config == keeping.config
    for name, tensor in small.state_dict().items():
        assert torch.equal(rebuilt.state_dict()[name], tensor), name


def test_colours_of_other_architectures_are_their_own() -> None:
    config = CommunityConfig(architecture="SPAN", scale=4, size_multiple_px=1)
    with pytest.raises(ModelError, match="SPAN"):
        with_colours_kept(CommunityModel(torch.nn.Identity(), config), "span.pth")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_another_run_that_tidies_up_leaves_the_file_being_verified(
    small: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dggn-run` removes leftovers of killed runs from its output folder."""
    seen: list[Path] = []

    def tidy_first(path: Path, generator: Generator) -> verify.Comparison:
        seen.append(path)
        remove_temporaries([tmp_path])
        return verify.require_equal(path, generator)

    monkeypatch.setattr(write, "require_equal", tidy_first)
    assert write_onnx(copy.deepcopy(small), tmp_path / "model.onnx", OPTIONS).passes
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    (path,) = seen
    assert path.name.startswith(".dggn-") and path.suffix == ".partial", "a kill's can be removed"


def test_a_target_that_cannot_be_written(small: Generator, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match="cannot be written"):
        write_onnx(copy.deepcopy(small), tmp_path / "file" / "model.onnx", OPTIONS)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load(str(path))
    with pytest.raises(ModelError, match=r"model\.onnx"):
        describe(path)


@pytest.mark.parametrize("damage", ["truncated", "unknown type"])
def test_damaged_weights_are_refused(
    exported: dict[str, Path], tmp_path: Path, damage: str
) -> None:
    model = onnx.load(exported["float32"])
    victim = next(
        entry for entry in model.graph.initializer if entry.name == "image_tail.last.bias"
    )
    if damage == "truncated":
        victim.raw_data = victim.raw_data[:-1]
    else:
        victim.data_type = 99
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"model\.onnx has no usable weights"):
        load(str(path))


def test_external_data_is_not_followed(exported: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 10_000)
    model = onnx.load(exported["float32"])
    victim = next(
        entry for entry in model.graph.initializer if entry.name == "image_tail.last.bias"
    )
    onnx.external_data_helper.set_external_data(victim, location="../secret")
    victim.ClearField("raw_data")
    victim.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"image_tail\.last\.bias is in another file"):
        load(str(path))


def test_a_foreign_onnx_file(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"
    ]
    graph = onnx.helper.make_graph([node], "foreign", values[:1], values[1:])
    path = tmp_path / "foreign.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(ModelError, match="has no usable generator configuration"):
        load(str(path))
    with pytest.raises(ModelError, match="has 1 tensors"):
        describe(path)


def test_sources_are_names_models_and_checkpoints(
    exported: dict[str, Path], small: Generator, tmp_path: Path
) -> None:
    from dggn.model.checkpoint import save_generator

    checkpoint = tmp_path / "weights.safetensors"
    save_generator(checkpoint, small)
    assert read_generator(str(checkpoint)).config == small.config
    assert read_generator(str(exported["float32"])).config == small.config
    assert read_generator(DEFAULT_MODEL).config == preset("dggn-lite-photo")
    with pytest.raises(ModelError, match="nosuch"):
        read_generator("nosuch")
