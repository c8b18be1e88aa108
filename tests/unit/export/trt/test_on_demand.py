"""Building engines for `dggn-run`."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("onnx", reason="needs the trt extra")
pytest.importorskip("onnxruntime", reason="needs the trt extra")

import export.trt.command
from export.trt.on_demand import EngineBuilder
from runtime.backends.trt.request import EngineRequest
from runtime.errors import Cancelled
from runtime.model.info import model_path
from tests.support.engine_facts import GPU

ONNX = model_path("dggn-lite")
REQUEST = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="float32",
    tile_px=128,
    batch=2,
    targets=("sm86",),
)


def test_a_request_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def build_or_reuse(source: Any, request: Any, gpu: Any, **options: Any) -> Any:
        asked.append((source.path, request, gpu))
        options["say"]("[it goes well]")
        return SimpleNamespace(path=Path("x.engine"))

    monkeypatch.setattr(export.trt.command, "build_or_reuse", build_or_reuse)
    assert EngineBuilder(quiet=False)(ONNX, REQUEST, GPU) == Path("x.engine")
    assert asked == [(ONNX, REQUEST, GPU)]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "building a TensorRT engine of dggn-lite for this GPU: this takes minutes"
    )
    assert "[it goes well]" in said.err
    EngineBuilder(quiet=True)(ONNX, REQUEST, GPU)
    assert capsys.readouterr().err == ""


def test_ctrl_c_lets_a_build_take_away_what_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    tidied: list[bool] = []
    begun = threading.Event()

    def build_or_reuse(*arguments: Any, **options: Any) -> Any:
        begun.set()
        assert options["cancelled"].wait(20)
        time.sleep(0.1)
        tidied.append(True)
        raise Cancelled

    monkeypatch.setattr(export.trt.command, "build_or_reuse", build_or_reuse)
    builder = EngineBuilder(quiet=True)
    builder.cancel(within_s=0.0)
    builder = EngineBuilder(quiet=True)

    def work() -> None:
        with pytest.raises(Cancelled):
            builder(ONNX, REQUEST, GPU)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(20)
    builder.cancel(within_s=20)
    assert tidied == [True]
    thread.join(20)
