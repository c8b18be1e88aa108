"""Models as OpenVINO reads and compiles them."""

from __future__ import annotations

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.onnxruntime import OrtBackend
from runtime.errors import BackendError, ModelError
from tests.support.openvino_models import Opener, write_model


def test_models_of_other_programs(tmp_path: Path, opener: Opener) -> None:
    path = write_model(tmp_path / "m.onnx", info=None)
    with opener(path) as backend, OrtBackend(path, threads=1, where="cpu") as reference:
        assert backend.info == reference.info


def test_models_that_do_not_compile_say_so(tmp_path: Path, opener: Opener) -> None:
    path = write_model(tmp_path / "m.onnx", domain="of.nobody")
    with pytest.raises((ModelError, BackendError)) as caught:
        opener(path, "float32")
    assert str(path) in str(caught.value)
    assert "OpenVINO" in str(caught.value)
    assert "Exception from" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\x08\x07garbage", bytes(1000)])
def test_damaged_models_say_so_and_nothing_else(
    tmp_path: Path, opener: Opener, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "torn.onnx"
    path.write_bytes(content)
    with pytest.raises(
        ModelError, match=r"torn\.onnx cannot be loaded by OpenVINO \(.*(ONNX|parsed)"
    ):
        opener(path)
    assert capfd.readouterr() == ("", "")


def test_openvino_knows_the_setting_that_bounds_its_memory(
    model: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.backends.openvino import model as module

    monkeypatch.setattr(module, "_SHAPES_REMEMBERED", "no number")
    with pytest.raises(BackendError, match="CPU_RUNTIME_CACHE_CAPACITY"):
        opener(model, "float32")


def test_models_of_another_range_are_left_to_onnx_runtime(tmp_path: Path, opener: Opener) -> None:
    path = write_model(tmp_path / "m.onnx", info=None, levels=True)
    with OrtBackend(path, threads=1, where="cpu") as reference:
        assert reference.tensors.takes == (0, 255)
    with pytest.raises(BackendError, match=r"in \[0, 255\].*choose --backend onnxruntime"):
        opener(path)


def test_models_that_pad_by_reflection_are_left_to_onnx_runtime(
    tmp_path: Path, opener: Opener
) -> None:
    """For a picture smaller than the padding, OpenVINO reads out of bounds, and may crash."""
    path = write_model(tmp_path / "m.onnx", info=None, reflects=True)
    with OrtBackend(path, threads=1, where="cpu") as reference:
        assert reference.info.scale == 2
    with pytest.raises(BackendError, match=r"pads by reflection.*choose --backend onnxruntime"):
        opener(path)
