"""Choice of a cached engine, and reasons for rejecting others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.gpu_machine import Machine

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.trt.find_engine import batch_for
from runtime.errors import BackendError
from tests.support.fake_tensorrt import GPU


def test_little_memory_asks_for_small_batches() -> None:
    gib = 1 << 30
    assert [batch_for(n * gib, 256, 3) for n in (0, 1, 2, 4, 8, 80)] == [1, 1, 1, 2, 4, 4]
    assert batch_for(8 * gib, 512, 3) == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("none", "there is no TensorRT engine of dggn-lite.onnx for this GPU: `dggn-export trt`"),
        ("version", "there is one, but it was built with tensorrt 10.14, and 11.0 is installed"),
        ("gpu", "there is one, but it was built on Fake GPU, and this is Another GPU"),
        ("damaged", "its content does not match its sidecar"),
    ],
)
def test_stale_and_foreign_engines_are_never_loaded(
    machine: Machine, spoil: str, reason: str
) -> None:
    if spoil != "none":
        path = machine.engine()
    if spoil == "version":
        machine.tensorrt.library = replace(machine.tensorrt.library, version="11.0")
    elif spoil == "gpu":
        machine.gpus[0] = replace(GPU, name="Another GPU")
    elif spoil == "damaged":
        path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(BackendError) as caught:
        machine.open(name="tensorrt")
    assert reason in str(caught.value)
    assert machine.devices[0].closed
    assert machine.tensorrt.runs == 0
