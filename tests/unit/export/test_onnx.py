from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
ort = pytest.importorskip("onnxruntime", reason="needs the export extra")

from dggn import load
from dggn.model.config import GeneratorConfig, preset
from dggn.model.generator import Generator
from dggn.model.stored_weights import stored_names
from export import verify, write
from export.describe import describe
from export.graph import onnx_graph
from export.verify import compare
from export.write import ExportOptions, read_generator, write_onnx
from runtime.errors import ModelError, TargetError
from runtime.model.info import DEFAULT_MODEL, model_path
from runtime.system.files import remove_temporaries

OPTIONS = ExportOptions(sample_type="float32", weights="float32", halo_px=16, origin="a test")


def initializers(path: Path) -> dict[str, Any]:
    graph = onnx.load(path).graph
    return {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.initializer}


@pytest.mark.parametrize("name", ["float32", "half"])
def test_gradient_kernels_are_constant_weights(exported: dict[str, Path], name: str) -> None:
    tensors = initializers(exported[name])
    row = np.array([1, 0, -1], np.float32)
    for kernel, shape in (("gradient.kernel_x", (3, 1, 1, 3)), ("gradient.kernel_y", (3, 1, 3, 1))):
        assert tensors[kernel].shape == shape
        assert tensors[kernel].dtype == np.float32
        for channel in tensors[kernel]:
            np.testing.assert_array_equal(channel.ravel(), row)
        graph = onnx.load(exported[name]).graph
        readers = [node for node in graph.node if kernel in node.input]
        assert [(node.op_type, list(node.input).index(kernel)) for node in readers] == [("Conv", 1)]


@pytest.mark.parametrize("name", ["float32", "half", "bytes"])
def test_files_pass_the_checker(exported: dict[str, Path], name: str) -> None:
    onnx.checker.check_model(exported[name], full_check=True)


@pytest.mark.parametrize(
    ("name", "kind", "input_shape", "output_shape"),
    [
        (
            "float32",
            "FLOAT",
            ["batch", 3, "height", "width"],
            ["batch", 3, "output_height", "output_width"],
        ),
        (
            "bytes",
            "UINT8",
            ["batch", "height", "width", 3],
            ["batch", "output_height", "output_width", 3],
        ),
    ],
)
def test_inputs_and_outputs(
    exported: dict[str, Path],
    name: str,
    kind: str,
    input_shape: list[Any],
    output_shape: list[Any],
) -> None:
    graph = onnx.load(exported[name]).graph
    found = []
    for value in (*graph.input, *graph.output):
        tensor = value.type.tensor_type
        assert onnx.TensorProto.DataType.Name(tensor.elem_type) == kind
        found.append((value.name, [d.dim_param or d.dim_value for d in tensor.shape.dim]))
    assert found == [("input", input_shape), ("output", output_shape)]


@pytest.mark.parametrize("name", ["float32", "half", "bytes"])
def test_metadata(exported: dict[str, Path], name: str) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(exported[name]).metadata_props}
    assert properties["dggn.scale"] == "4"
    assert properties["dggn.range"] == ("[0, 255]" if name == "bytes" else "[0, 1]")
    assert properties["dggn.size_multiple_px"] == "8"
    assert properties["dggn.halo_px"] == "16"
    assert properties["dggn.preset"] == "custom"
    assert properties["dggn.origin"] == "a test"


@pytest.mark.parametrize("name", ["float32", "half", "bytes"])
def test_casts_of_bytes_are_first_and_last(exported: dict[str, Path], name: str) -> None:
    graph = onnx.load(exported[name]).graph
    if name != "bytes":
        assert not any("input" in node.input and node.op_type == "Cast" for node in graph.node)
        return
    first = [node.op_type for node in graph.node if "input" in node.input]
    last = [node.op_type for node in graph.node if "output" in node.output]
    assert first == ["Cast"]
    assert last == ["Cast"]


def test_no_path_of_this_machine_is_inside(exported: dict[str, Path]) -> None:
    import dggn

    here = str(Path(dggn.__file__).parents[1]).encode()
    for path in exported.values():
        assert here not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()


def test_bytes_round_and_clamp(exported: dict[str, Path]) -> None:
    """The 8-bit graph is the float graph, rounded to the nearest level."""
    image = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    (bytes_out,) = ort.InferenceSession(exported["bytes"]).run(None, {"input": image})
    batch = image.transpose(0, 3, 1, 2).astype(np.float32) / 255
    (float_out,) = ort.InferenceSession(exported["float32"]).run(None, {"input": batch})
    levels = float_out.transpose(0, 2, 3, 1) * 255
    assert levels.min() < 0
    assert levels.max() > 255
    difference = np.abs(bytes_out - np.clip(levels, 0, 255))
    assert difference.max() <= 0.5 + 1e-3


def test_half_the_bytes(exported: dict[str, Path], small: Generator) -> None:
    tensors = initializers(exported["half"])
    stored = stored_names([name for name, _ in small.named_parameters()], tensors)
    assert stored.keys() == {name for name, _ in small.named_parameters()}
    names = [name for parts in stored.values() for name in parts]
    assert {tensors[name].dtype for name in names} == {np.dtype(np.float16)}
    saved = exported["float32"].stat().st_size - exported["half"].stat().st_size
    parameters = sum(parameter.numel() for parameter in small.parameters())
    assert saved > parameters


@pytest.mark.parametrize("name", ["float32", "half", "bytes"])
def test_no_convolution_is_grouped_and_nothing_is_split(
    exported: dict[str, Path], name: str
) -> None:
    nodes = onnx.load(exported[name]).graph.node
    assert not {node.op_type for node in nodes} & {"Split", "Slice"}
    groups = [
        attribute.i
        for node in nodes
        if node.op_type == "Conv" and "kernel" not in node.input[1]
        for attribute in node.attribute
        if attribute.name == "group"
    ]
    assert set(groups) <= {1}


def test_exporting_leaves_the_form_of_the_branches(small: Generator, tmp_path: Path) -> None:
    assert all(unit.grouped for unit in small.units)
    write_onnx(copy.deepcopy(small), tmp_path / "model.onnx", OPTIONS)
    assert all(unit.grouped for unit in small.units)


@pytest.mark.parametrize("name", ["float32", "half"])
def test_the_module_comes_back(exported: dict[str, Path], small: Generator, name: str) -> None:
    rebuilt = load(str(exported[name]))
    assert rebuilt.config == small.config
    assert not rebuilt.training
    for key, tensor in small.state_dict().items():
        expected = tensor.half().float() if name == "half" and "kernel" not in key else tensor
        assert torch.equal(rebuilt.state_dict()[key], expected), key


def test_the_shipped_model_comes_back_and_computes_the_same() -> None:
    generator = load()
    comparison = compare(model_path(DEFAULT_MODEL), generator)
    assert comparison.passes, str(comparison)
    assert comparison.levels == 65535
    assert comparison.samples > 500_000


def test_without_a_gradient_branch(tmp_path: Path) -> None:
    config = GeneratorConfig(width=16, image_units=1, gradient_units=0, tail_width=8)
    generator = Generator(config).eval()
    write_onnx(generator, tmp_path / "plain.onnx", OPTIONS)
    assert load(str(tmp_path / "plain.onnx")).config == config


def test_a_wrong_graph_is_refused_and_not_kept(
    small: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"what was there before")
    other = copy.deepcopy(small)
    with torch.no_grad():
        other.image_tail.last.weight.mul_(1.01)
    monkeypatch.setattr(write, "onnx_graph", lambda generator, info: onnx_graph(other, info))
    with pytest.raises(ModelError, match=r"largest difference [\d,]+ of 65,535.*tolerance 1"):
        write_onnx(copy.deepcopy(small), target, OPTIONS)
    assert target.read_bytes() == b"what was there before"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_another_run_that_tidies_up_leaves_the_file_being_verified(
    small: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dggn-run` removes what killed runs left in its output folder."""
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


def test_weights_too_large_for_float16(small: Generator, tmp_path: Path) -> None:
    generator = copy.deepcopy(small)
    with torch.no_grad():
        generator.image_tail.last.weight.fill_(1e6)
    options = ExportOptions(sample_type="float32", weights="float16", halo_px=16, origin="a test")
    with pytest.raises(ModelError, match=r"image_tail\.last\.weight does not fit float16"):
        write_onnx(generator, tmp_path / "model.onnx", options)
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_written(small: Generator, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match="cannot be written"):
        write_onnx(copy.deepcopy(small), tmp_path / "file" / "model.onnx", OPTIONS)


def test_several_sizes_are_compared() -> None:
    shapes = {batch.shape for batch in verify._batches(8)}
    assert len(shapes) == 3
    assert max(shape[0] for shape in shapes) == 2
    assert (1, 8, 16, 3) in shapes


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
    with pytest.raises(ModelError, match=r"model\.onnx holds damaged weights"):
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
    with pytest.raises(ModelError, match="keeps its weights in another file"):
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


def test_what_another_program_wrote_is_described_as_it_is_run(tmp_path: Path) -> None:
    floats, helper = onnx.TensorProto.FLOAT, onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "sizes"], ["y"], mode="nearest")],
        "foreign",
        [helper.make_tensor_value_info("x", floats, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", floats, ["n", 3, "hh", "ww"])],
        [helper.make_tensor("sizes", floats, [4], [1, 1, 2, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "foreign.onnx")
    facts = describe(tmp_path / "foreign.onnx")
    assert facts["Preset"] == "custom, x2"
    assert facts["Origin"] == "another program"
    assert facts["Input"] == "x float[n, 3, h, w], RGB in [0, 1]"


def test_sources_are_names_models_and_checkpoints(
    exported: dict[str, Path], small: Generator, tmp_path: Path
) -> None:
    from dggn.model.checkpoint import save_generator

    checkpoint = tmp_path / "weights.safetensors"
    save_generator(checkpoint, small)
    assert read_generator(str(checkpoint)).config == small.config
    assert read_generator(str(exported["float32"])).config == small.config
    assert read_generator(DEFAULT_MODEL).config == preset("dggn-lite")
    with pytest.raises(ModelError, match="nosuch"):
        read_generator("nosuch")


def test_description(exported: dict[str, Path]) -> None:
    facts = describe(exported["bytes"])
    assert facts["Preset"] == "custom, x4"
    assert facts["Input"] == "input uint8[batch, height, width, 3], RGB in [0, 255]"
    assert "multiples of 8 px" in facts["Sizes"]


def test_an_unknown_weight_type_is_described_too(exported: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(exported["float32"])
    model.graph.initializer[0].data_type = 999
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert "type 999" in describe(path)["Weights"]
