"""Fixtures for tests of OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.openvino_models import Opener


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from tests.support.openvino_models import write_model

    return write_model(tmp_path / "m.onnx")


@pytest.fixture
def opener() -> Opener:
    from tests.support.openvino_models import Opener

    return Opener()
