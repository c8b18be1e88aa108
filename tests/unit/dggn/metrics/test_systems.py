from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.metrics.systems import enlarge_bicubic, open_system, system_name
from runtime.errors import ModelError


def test_names_for_tables() -> None:
    assert system_name("bicubic") == "bicubic"
    assert system_name("models/esrgan.pth") == "esrgan"
    assert system_name("runs/psnr/generator.safetensors") == "psnr"
    assert system_name("generator.safetensors") == "generator"
    assert system_name("https://example.org/models/4x%20Nice.onnx#sha256=9f") == "4x Nice"


def test_bicubic(photo: NDArray[np.uint8]) -> None:
    with open_system("bicubic") as super_resolve:
        assert np.array_equal(super_resolve(photo), enlarge_bicubic(photo))


def test_a_shipped_model(photo: NDArray[np.uint8]) -> None:
    pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    with open_system("dggn-lite") as super_resolve:
        assert super_resolve(photo[:16, :24]).shape == (64, 96, 3)


def test_missing_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a file nor a shipped model"), open_system("none"):
        pass
    pytest.importorskip("torch", reason="needs the train extra")
    for name in ("none.safetensors", "none.pth"):
        with pytest.raises(ModelError, match=f"{name} does not exist"), open_system(name):
            pass
