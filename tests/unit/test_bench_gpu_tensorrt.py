"""The GPU benchmark's TensorRT engine, on a simulated GPU."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.backends.cuda.device import CaptureRefused
from tests.benchmarks.gpu.plan import INT8_NAME, NotMeasured, Plan
from tests.benchmarks.gpu.trt_engine import TrtEngine, _Lane


@pytest.mark.parametrize(
    "library", [{}, {"profiles": 2}, {"rtx": True}], ids=["10", "two profiles", "rtx"]
)
def test_engine_is_built_run_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: dict[str, Any]
) -> None:
    fakes = import_module("tests.support.fake_tensorrt")
    new_device = import_module("tests.support.fake_cuda").FakeDevice
    plan = Plan(work=tmp_path, tile_px=16, batch=4, seconds=0.01)
    tiles = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    np.save(tmp_path / "tiles.npy", tiles)
    tensorrt = fakes.FakeTensorRT(**library)
    file = tensorrt.engine_file(tmp_path, tile_px=16, batch=4)
    asked: list[tuple[str, str]] = []
    devices: list[Any] = []

    def build_or_reuse(source: Path, request: Any, gpu: Any, **_: Any) -> Any:
        asked.append((source.name, request.precision))
        return SimpleNamespace(facts=file.facts, path=file.path)

    def open_device(index: int) -> Any:
        devices.append(new_device(index))
        return devices[-1]

    command = import_module("export.trt.command")
    monkeypatch.setattr(command, "build_or_reuse", build_or_reuse)
    monkeypatch.setattr(command, "read_model", lambda onnx, flavor: onnx)
    monkeypatch.setattr(
        import_module("runtime.backends.gpu"), "require_gpu", lambda index: fakes.GPU
    )
    library_module = import_module("runtime.backends.trt.library")
    monkeypatch.setattr(library_module, "find_library", lambda *_: tensorrt.library)
    monkeypatch.setattr(import_module("runtime.backends.cuda.open"), "open_device", open_device)

    with pytest.raises(NotMeasured, match="no INT8 version .* --int8"):
        TrtEngine("dggn", plan, "int8")
    for name in ("dggn-bytes.onnx", INT8_NAME):
        (tmp_path / name).write_bytes(b"")
    TrtEngine("dggn", plan, "int8").close()
    devices.clear()
    engine = TrtEngine("dggn", plan)
    assert asked == [(INT8_NAME, "int8"), ("dggn-bytes.onnx", "fp16")]
    assert "FP16 on Fake GPU" in engine.description
    np.testing.assert_array_equal(engine.infer(tiles), fakes.nearest(tiles))
    assert engine.with_copies(plan.seconds) > 0
    copied = sum(device.operations for device in devices)
    assert engine.engine_only(plan.seconds) > 0
    assert sum(device.operations for device in devices) > copied
    engine.close()
    assert len(devices) == 2
    for device in devices:
        assert device.closed and not device.living


def test_a_refused_graph_costs_no_figure() -> None:
    def refuse(work: Any) -> None:
        raise CaptureRefused("operation not permitted when stream is capturing")

    calls: list[str] = []
    execution = SimpleNamespace(
        captures_itself=False,
        bind=lambda *_: None,
        reshape=lambda shape: None,
        enqueue=lambda: calls.append("enqueue"),
        free=lambda: calls.append("free"),
    )
    part = SimpleNamespace(
        address=0,
        array=np.ones(48, np.uint8),
        free=lambda: None,
        wait=lambda: None,
        capture=refuse,
        launch=calls.append,
        copy_in=lambda memory, pinned, size: calls.append(f"copy {size}"),
    )
    device = SimpleNamespace(
        new_memory=lambda size: part, new_pinned=lambda size: part, new_stream=lambda: part
    )
    tiles = np.zeros((1, 4, 4, 3), np.uint8)
    lane = _Lane(device, execution, Plan(work=Path()), tiles)
    lane.queue()
    lane.free()
    assert calls == ["copy 48", "enqueue", "enqueue", "free"]
    assert not part.array.any(), "real tiles are what is computed"
