"""Model files for strengths of denoising."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from runtime.backends import denoise
from runtime.backends.denoise import denoised
from runtime.errors import ConfigError, TargetError
from runtime.model.info import MODELS_FOLDER, model_path
from runtime.system.cache import FOLDER_VARIABLE

PHOTO = MODELS_FOLDER / "dggn-lite-photo.onnx"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models in which the plain model is the one for photographs."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("net-photo.onnx", "net.onnx", "net-photo-int8.onnx"):
        (folder / name).write_bytes(PHOTO.read_bytes())
    monkeypatch.setattr(denoise, "MODELS_FOLDER", folder)
    monkeypatch.setattr(denoise, "PLAIN", {"net-photo": "net"})
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return folder


def test_the_full_strength_is_the_model_itself(shipped: Path) -> None:
    assert denoised(shipped / "net-photo.onnx", 1.0) == shipped / "net-photo.onnx"


def test_a_blend_is_made_once(shipped: Path, tmp_path: Path) -> None:
    made = denoised(shipped / "net-photo.onnx", 0.501)
    assert made.name == "net-photo-denoise-0.50.onnx"
    assert made.is_relative_to(tmp_path / "cache")
    assert made.read_bytes() == PHOTO.read_bytes()  # halfway between equals
    made.write_bytes(b"kept")
    assert denoised(shipped / "net-photo.onnx", 0.499).read_bytes() == b"kept"


def test_other_weights_make_another_file(shipped: Path) -> None:
    before = denoised(shipped / "net-photo.onnx", 0)
    content = bytearray(PHOTO.read_bytes())
    place = content.index(b"stage")  # in the metadata
    content[place : place + 5] = b"STAGE"
    (shipped / "net-photo.onnx").write_bytes(content)
    assert denoised(shipped / "net-photo.onnx", 0) != before


@pytest.mark.parametrize("strength", [-0.1, 1.1, math.nan, math.inf])
def test_strengths_out_of_range(shipped: Path, strength: float) -> None:
    with pytest.raises(ConfigError, match="expected 0 .* to 1"):
        denoised(shipped / "net-photo.onnx", strength)


def test_models_that_cannot_be_blended(shipped: Path, tmp_path: Path) -> None:
    for path in (shipped / "net.onnx", tmp_path / "mine-photo.onnx"):
        with pytest.raises(ConfigError, match=r"--denoise is for net-photo"):
            denoised(path, 0.5)
    with pytest.raises(ConfigError, match="INT8"):
        denoised(shipped / "net-photo-int8.onnx", 0.5)


def test_a_cache_that_cannot_be_written(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(TargetError, match=FOLDER_VARIABLE):
        denoised(shipped / "net-photo.onnx", 0.5)


def test_the_shipped_pair_can_be_blended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    path = denoised(model_path("dggn-lite-photo"), 0.5)
    assert path.stat().st_size == PHOTO.stat().st_size
