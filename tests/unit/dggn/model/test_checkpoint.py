from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from safetensors.torch import save_file

from dggn.model.checkpoint import (
    FORMAT_KEY,
    GENERATOR_FORMAT,
    generator_from_tensors,
    load_generator,
    read_tensors,
    save_generator,
    write_tensors,
)
from dggn.model.config import GeneratorConfig
from dggn.model.generator import Generator
from dggn.settings import to_mapping
from runtime.errors import ModelError, TargetError


@pytest.fixture
def saved(tmp_path: Path, tiny_config: GeneratorConfig) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "generator.safetensors"
    save_generator(path, Generator(tiny_config))
    return path


@pytest.mark.parametrize("gradient_units", [0, 1])
def test_round_trip_is_exact(
    tmp_path: Path, tiny_config: GeneratorConfig, gradient_units: int
) -> None:
    generator = Generator(replace(tiny_config, gradient_units=gradient_units))
    generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    path = tmp_path / "new" / "generator.safetensors"
    save_generator(path, generator)
    loaded = load_generator(path)
    assert loaded.config == generator.config
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    expected, found = generator.state_dict(), loaded.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [file.name for file in path.parent.iterdir()] == ["generator.safetensors"]


def test_loaded_generator_computes_the_same(saved: Path, tiny_config: GeneratorConfig) -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(load_generator(saved)(image), Generator(tiny_config)(image))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist: expected a DGGN generator checkpoint"):
        load_generator(tmp_path / "none.safetensors")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a DGGN generator checkpoint"):
        load_generator(tmp_path)


def _header(length: int, text: bytes) -> bytes:
    return struct.pack("<Q", length) + text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 4, id="shorter than a length"),
        pytest.param(_header(20, b"{" * 20), id="bad JSON"),
        pytest.param(_header(2**62, b"{}"), id="huge header"),
        pytest.param(_header(10**9, b"{}" * 100), id="header beyond the end"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\x00" * 64, id="picture"),
    ],
)
def test_damaged_files_say_what_was_expected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "generator.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="expected a DGGN generator checkpoint") as caught:
        load_generator(path)
    assert str(path) in str(caught.value)


def test_pickles_are_not_read(tmp_path: Path, tiny_config: GeneratorConfig) -> None:
    path = tmp_path / "generator.pt"
    torch.save(Generator(tiny_config).state_dict(), path)
    with pytest.raises(ModelError, match="expected a DGGN generator checkpoint"):
        load_generator(path)


@pytest.mark.parametrize("share", [0.0005, 0.3, 0.9, 0.9999])
def test_truncated(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="expected a DGGN generator checkpoint"):
        load_generator(saved)


def test_weights_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="weights of another program: expected a DGGN generator"):
        load_generator(path)


def test_a_training_state_is_no_generator(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_tensors(path, {"weight": torch.zeros(2)}, format_name="training-1", header={})
    with pytest.raises(
        ModelError,
        match=r"holds training-1: expected a DGGN generator checkpoint \(\.safetensors\)$",
    ):
        load_generator(path)
    (tmp_path / "generator.safetensors").touch()
    with pytest.raises(ModelError, match=r"; a run's weights are in .*generator\.safetensors$"):
        load_generator(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_header_that_is_no_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "generator.safetensors"
    metadata = {FORMAT_KEY: GENERATOR_FORMAT, "header": text}
    save_file({"weight": torch.zeros(2)}, path, metadata)
    with pytest.raises(ModelError, match="damaged"):
        read_tensors(path, format_name=GENERATOR_FORMAT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": "wide"}, "width is 'wide': expected a whole number"),
        ({"widht": 8}, "unknown setting 'widht': did you mean 'width'"),
        ({"width": -8}, "width is -8"),
        ({"image_units": 10**9, "gradient_units": 0}, "does not fit its configuration"),
        ({"width": 2**40}, "does not fit its configuration|has shape"),
        ({"width": 16}, r"has shape .* expected"),
        ({"gradient_units": 0}, "0 tensors missing .* unknown"),
        ({"gradient_units": 2}, "tensors missing"),
    ],
)
def test_configuration_that_does_not_fit(
    tmp_path: Path, tiny_config: GeneratorConfig, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "generator.safetensors"
    write_tensors(
        path,
        dict(Generator(tiny_config).state_dict()),
        format_name=GENERATOR_FORMAT,
        header={"generator": {**to_mapping(tiny_config), **change}},
    )
    with pytest.raises(ModelError, match=message):
        load_generator(path)


def test_the_structure_of_an_earlier_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    former = {"width": 32, "image_units": 10, "gradient_units": 5, "upsampler_widths": [32, 16, 16]}
    write_tensors(
        path, {"a": torch.zeros(1)}, format_name=GENERATOR_FORMAT, header={"generator": former}
    )
    with pytest.raises(ModelError, match="the structure of DGGN 0.1.* still run in dggn-run"):
        load_generator(path)


@pytest.mark.parametrize("header", [{}, {"generator": None}, {"generator": [1]}])
def test_no_configuration(tmp_path: Path, header: dict[str, Any]) -> None:
    path = tmp_path / "generator.safetensors"
    write_tensors(path, {"a": torch.zeros(1)}, format_name=GENERATOR_FORMAT, header=header)
    with pytest.raises(ModelError, match="is damaged or from another version"):
        load_generator(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tiny_config: GeneratorConfig, value: float) -> None:
    weights = dict(Generator(tiny_config).state_dict())
    weights["image_tail.last.bias"] = torch.full((48,), value)
    with pytest.raises(ModelError, match="image_tail.last.bias holds numbers that are not finite"):
        generator_from_tensors(tiny_config, weights, where="here")


def test_gradient_kernels_must_be_the_fixed_ones(tiny_config: GeneratorConfig) -> None:
    weights = dict(Generator(tiny_config).state_dict())
    weights["gradient.kernel_x"] = weights["gradient.kernel_x"] * 0.5
    with pytest.raises(ModelError, match="gradient.kernel_x is not the fixed kernel"):
        generator_from_tensors(tiny_config, weights, where="here")


def test_half_precision_weights_are_widened(tiny_config: GeneratorConfig) -> None:
    weights = {name: tensor.half() for name, tensor in Generator(tiny_config).state_dict().items()}
    generator = generator_from_tensors(tiny_config, weights, where="here")
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}


def test_unwritable_target_leaves_nothing(tmp_path: Path, tiny_config: GeneratorConfig) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TargetError, match="cannot be written"):
        save_generator(tmp_path / "file" / "generator.safetensors", Generator(tiny_config))
    folder = tmp_path / "taken.safetensors"
    folder.mkdir()
    with pytest.raises(TargetError, match="cannot be written"):
        save_generator(folder, Generator(tiny_config))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.safetensors"]


def test_configuration_is_readable_without_this_program(saved: Path) -> None:
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert json.loads(metadata["header"])["generator"]["width"] == 8
