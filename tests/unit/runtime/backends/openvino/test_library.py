"""The OpenVINO package, and the devices that it finds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.openvino import library
from runtime.backends.openvino.library import openvino_devices, openvino_reason, require_device
from runtime.errors import BackendError
from tests.support.openvino_models import Opener
from tests.support.processes import run


def test_a_device_that_is_not_there(model: Path, opener: Opener) -> None:
    with pytest.raises(BackendError, match=r"finds no GPU\.7 here: expected one of CPU: "):
        opener(model, device="GPU.7")


def test_nobody_is_told_that_it_is_used(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from runtime.backends.openvino.library import load_openvino, openvino_devices\n"
        "openvino_devices()\n"
        "assert load_openvino() is sys.modules['openvino']\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    result = run([sys.executable, "-c", code], env={**os.environ, "HOME": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_converter_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys\n"
        "from runtime.backends.openvino.library import load_openvino\n"
        "package = load_openvino()\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "assert not hasattr(package, 'something_else')\n"
        "from openvino import convert_model\n"
        "assert convert_model is sys.modules['openvino.tools.ovc'].convert_model\n"
    )
    result = run([sys.executable, "-c", code])
    assert result.returncode == 0, result.stderr


def test_the_cpu_is_found_without_the_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    (cpu,) = (device for device in openvino_devices() if device.name == "CPU")

    class Core:
        get_property = library.openvino_core().get_property

        @property
        def available_devices(self) -> list[str]:
            raise AssertionError("loads the drivers of every kind of device")

    monkeypatch.setattr(library, "openvino_core", Core)
    assert require_device("CPU") == cpu


def test_signals_after_models_have_come_and_gone(model: Path) -> None:
    """OpenVINO must not free the stack of signal handlers while it is in use."""
    code = (
        "import pathlib, signal, sys\n"
        "import numpy as np\n"
        "from runtime.backends.openvino.library import require_device\n"
        "from runtime.backends.openvino.model import OpenVinoModel\n"
        "models = [\n"
        "    OpenVinoModel(\n"
        "        pathlib.Path(sys.argv[1]), device=require_device('CPU'), threads=1, cache=None\n"
        "    )\n"
        "    for _ in range(2)\n"
        "]\n"
        "for one in models:\n"
        "    one.compile(np.uint8, 'float32')\n"
        "del one\n"
        "while models:\n"
        "    del models[0]\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    result = run([sys.executable, "-c", code, str(model)])
    assert (result.returncode, result.stdout) == (0, "interrupted\n"), result.stderr


def test_reasons_leave_out_the_places_in_the_source() -> None:
    error = RuntimeError(
        "Exception from src/inference/src/cpp/core.cpp:117:\n"
        "Check 'x' failed at src/y.cpp:5:\nthe shape is odd\n\n"
    )
    assert openvino_reason(error) == "the shape is odd"
    assert openvino_reason(RuntimeError("")) == "RuntimeError"
