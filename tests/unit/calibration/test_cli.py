from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="needs the calibrate extra")
pytest.importorskip("onnxruntime", reason="needs the calibrate extra")

from calibration.cli import app


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "m.onnx").write_bytes(b"")
    return str(tmp_path / "m.onnx")


def test_no_mix_that_holds_the_gates(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(passes=False, outcome=SimpleNamespace(best=None))
    monkeypatch.setattr("calibration.calibrate.calibrate", lambda *_, **__: failed)
    done = CliRunner().invoke(app, ["photos", "--model", model, "-o", "x.onnx"])
    assert done.exit_code == 1
    assert "x.md says which layers prevent it. The model was not written" in done.output


def test_a_broken_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime").mkdir()
    content = 'raise ImportError("DLL load failed")'
    (tmp_path / "onnxruntime/__init__.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    done = CliRunner().invoke(app, ["photos"])
    assert done.exit_code == 3
    assert "onnxruntime is installed, but cannot be loaded (DLL load failed)" in done.output


def test_an_interruption(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("calibration.calibrate.calibrate", interrupted)
    done = CliRunner().invoke(app, ["photos", "--model", model])
    assert done.exit_code == 130
    assert "run the same command to resume" in done.output


def test_options_reach_the_calibration(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def remember(*arguments: object, **named: object) -> None:
        seen.extend((*arguments, named["validation"]))
        raise KeyboardInterrupt

    monkeypatch.setattr("calibration.calibrate.calibrate", remember)
    arguments = ["photos", "--model", model, "--target", "tensorrt", "--method", "entropy"]
    arguments += ["--max-drop-db", "0.2", "--max-seam", "3", "--keep-float", "image_trunk"]
    CliRunner().invoke(app, [*arguments, "--validation", "val"])
    from calibration.options import CalibrationOptions

    assert seen == [
        Path(model),
        Path("photos"),
        Path("m-int8.onnx"),
        CalibrationOptions(
            target="tensorrt",
            method="entropy",
            max_drop_db=0.2,
            max_seam_levels=3,
            keep_float=("image_trunk",),
        ),
        Path("val"),
    ]
