from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ModelError
from runtime.model.info import DEFAULT_MODEL, ModelInfo, file_sha256, model_path, shipped_models

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


def test_the_default_model_ships() -> None:
    assert DEFAULT_MODEL in shipped_models()
    assert model_path(DEFAULT_MODEL).is_file()


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="nosuch is neither a file nor a shipped model.*dggn-lite"):
        model_path("nosuch")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
