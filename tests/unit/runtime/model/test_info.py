from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError, ModelError
from runtime.model import info
from runtime.model.info import (
    DEFAULT_MODEL,
    GPU_DEFAULT_MODEL,
    ModelInfo,
    file_sha256,
    gpu_default,
    model_path,
    shipped_models,
    tensorrt_model_path,
)

PROPERTIES = {
    "dggn.preset": "dggn-lite",
    "dggn.scale": "4",
    "dggn.sample_type": "float32",
    "dggn.size_multiple_px": "8",
    "dggn.halo_px": "16",
    "dggn.origin": "somewhere",
    "another.tool": "left alone",
}


def test_metadata_round_trip() -> None:
    info = ModelInfo.from_metadata(PROPERTIES, where="m.onnx")
    assert info.scale == 4
    assert info.halo_px == 16
    assert ModelInfo.from_metadata(info.to_metadata(), where="m.onnx") == info


def test_a_foreign_model_is_named_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"m\.onnx was not written by .*Export it again"):
        ModelInfo.from_metadata({"another.tool": "1"}, where="m.onnx")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale", "0"),
        ("scale", "17"),
        ("scale", "-4"),
        ("scale", "four"),
        ("scale", "99999999999999999999"),
        ("scale", "٤"),
        ("size_multiple_px", "0"),
        ("size_multiple_px", "100000"),
        ("halo_px", "12"),
        ("halo_px", "800"),
        ("sample_type", "float64"),
        ("sample_type", ""),
    ],
)
def test_absurd_values_are_refused_with_the_file_named(key: str, value: str) -> None:
    with pytest.raises(ModelError, match=rf"^m\.onnx: .*{key}"):
        ModelInfo.from_metadata({**PROPERTIES, f"dggn.{key}": value}, where="m.onnx")


def test_the_default_models_ship() -> None:
    for name in (DEFAULT_MODEL, GPU_DEFAULT_MODEL):
        assert name in shipped_models()
        assert model_path(name).is_file()


def test_gpus_take_the_large_model_where_it_has_what_is_asked_for() -> None:
    assert gpu_default(None) == gpu_default("float32") == GPU_DEFAULT_MODEL
    assert gpu_default("int8") == gpu_default(None, denoise=0.5) == DEFAULT_MODEL
    assert model_path(gpu_default("int8"), "int8").is_file()


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="nosuch is neither a file nor a shipped model.*dggn-lite"):
        model_path("nosuch")


def test_a_name_that_is_too_long_for_a_file() -> None:
    with pytest.raises(ModelError, match=r"x\.onnx (cannot be read|is neither)"):
        model_path("x" * 300 + ".onnx")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models, one of which has an INT8 version."""
    for name in ("one", "one-int8", "one-int8-tensorrt", "two"):
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    monkeypatch.setattr(info, "MODELS_FOLDER", tmp_path)
    return tmp_path


def test_versions_go_by_one_name(shipped: Path) -> None:
    assert list(shipped_models()) == ["one", "two"]
    assert model_path("one") == model_path("one", "float32") == shipped / "one.onnx"
    assert model_path("one", "int8") == shipped / "one-int8.onnx"


def test_an_int8_version_also_goes_by_its_own_name(shipped: Path) -> None:
    for name in ("one-int8", "one-int8-tensorrt"):
        assert model_path(name) == model_path(name, "int8") == shipped / f"{name}.onnx"
    for other in ("float32", "bfloat16"):
        with pytest.raises(ConfigError, match=f"one-int8 is INT8, and {other} was requested"):
            model_path("one-int8", other)


def test_ways_to_compute_are_no_other_files(shipped: Path) -> None:
    for path in ("one", str(shipped / "one.onnx")):
        assert model_path(path, "bfloat16") == model_path(path, "float32") == shipped / "one.onnx"


def test_engines_are_built_from_what_tensorrt_takes(shipped: Path, tmp_path: Path) -> None:
    assert tensorrt_model_path(model_path("one", "int8")) == shipped / "one-int8-tensorrt.onnx"
    assert tensorrt_model_path(model_path("one")) == shipped / "one.onnx"
    own = tmp_path / "own" / "one-int8.onnx"
    own.parent.mkdir()
    own.with_name("one-int8-tensorrt.onnx").write_bytes(b"")
    assert tensorrt_model_path(own) == own


def test_what_is_not_there_is_refused(shipped: Path) -> None:
    with pytest.raises(ModelError, match="no INT8 version of two is shipped: .* dggn-calibrate"):
        model_path("two", "int8")
    with pytest.raises(ConfigError, match="INT8 can be chosen for shipped models only"):
        model_path(str(shipped / "one.onnx"), "int8")


def test_precision_travels_in_the_metadata() -> None:
    info = ModelInfo(
        preset="custom",
        scale=4,
        sample_type="float32",
        size_multiple_px=8,
        halo_px=16,
        origin="a test",
        precision="int8",
    )
    properties = info.to_metadata()
    assert ModelInfo.from_metadata(properties, where="x") == info
    del properties["dggn.precision"]
    assert ModelInfo.from_metadata(properties, where="x").precision == "float32"
    with pytest.raises(ModelError, match="x: precision is 'int3': expected float32 or int8"):
        ModelInfo.from_metadata({**properties, "dggn.precision": "int3"}, where="x")


def test_the_shipped_int8_model_makes_the_same_picture() -> None:
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    from runtime.upscaler import Upscaler

    y, x = np.mgrid[0:40, 0:56]
    image = np.stack([4 * x, 5 * y, 128 + 100 * np.sin(x * y / 60)], axis=-1).astype(np.uint8)
    with Upscaler("dggn-lite") as plain, Upscaler("dggn-lite", precision="int8") as quick:
        assert "in INT8" in quick.description
        assert quick.model_sha256 != plain.model_sha256
        difference = np.abs(plain(image).astype(int) - quick(image))
    assert difference.max() <= 12
    assert difference.mean() < 1
