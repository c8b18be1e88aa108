"""Opening OpenVINO: verification and precision."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("openvino", reason="needs the cpu extra")
pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends.onnxruntime import OrtBackend
from runtime.backends.openvino import open as opening
from runtime.backends.openvino import trust
from runtime.backends.openvino.library import OpenVinoDevice, require_device
from runtime.backends.openvino.open import candidate_precisions, open_openvino
from runtime.errors import BackendError, ConfigError
from tests.support.openvino_models import INFO, Opener, noise, whole, write_model
from tests.support.processes import run


def test_a_model_is_verified_once(model: Path, opener: Opener, cache: Path) -> None:
    for _ in range(2):
        with opener(model, "float32"):
            pass
    assert opener.verified == 1
    (verdict,) = (cache / "verified").iterdir()
    assert any((cache / "compiled").iterdir())
    verdict.write_text("torn", encoding="utf-8")
    with opener(model, "float32"):
        pass
    assert opener.verified == 2
    with opener(model, "float32") as backend:
        whole(backend, noise(8, 8, np.uint16))
        whole(backend, noise(8, 8, np.uint16))
    assert opener.verified == 3, "16 bits are another compiled model"


@pytest.mark.skipif(bool(shutil.which("nvidia-smi")), reason="`auto` looks at the GPU")
def test_a_verified_model_is_opened_without_other_libraries(model: Path) -> None:
    code = (
        "import sys\n"
        "from runtime.upscaler import Upscaler\n"
        "with Upscaler(sys.argv[1], precision='float32') as upscaler:\n"
        "    print(upscaler.description)\n"
        "print(*{'onnxruntime', 'cuda.bindings.driver'} & sys.modules.keys())\n"
    )
    for others in ("onnxruntime", ""):
        result = run([sys.executable, "-c", code, model])
        assert result.returncode == 0, result.stderr
        description, imported = result.stdout.splitlines()
        assert "OpenVINO on the CPU in float32" in description
        assert imported == others


def test_another_version_of_a_model_is_verified_anew(model: Path, opener: Opener) -> None:
    with opener(model, "float32"):
        pass
    write_model(model, weight=0.1)
    with opener(model, "float32"):
        pass
    assert opener.verified == 2


def test_a_cache_that_cannot_be_written_only_costs_time(
    model: Path, opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path / "file" / "cache"))
    with opener(model, "float32") as backend:
        assert whole(backend, noise(8, 8)).shape == (16, 16, 3)
    (line,) = opener.said
    assert line.startswith("the next run will verify float32 again: ")


@pytest.mark.parametrize("kept_bytes", [0, 100, 5000])
def test_a_torn_compiled_model_is_made_again(
    model: Path, opener: Opener, cache: Path, kept_bytes: int
) -> None:
    with opener(model, "float32") as backend:
        expected = whole(backend, noise(16, 16))
    for path in (cache / "compiled").iterdir():
        path.write_bytes(path.read_bytes()[:kept_bytes])
    with opener(model, "float32") as backend:
        np.testing.assert_array_equal(whole(backend, noise(16, 16)), expected)


def test_what_computes_something_else_is_not_used(
    model: Path, tmp_path: Path, opener: Opener
) -> None:
    other = write_model(tmp_path / "other.onnx", weight=0.1)
    with pytest.raises(BackendError, match="float32 does not reproduce the model's results: .* dB"):
        open_openvino(
            model,
            precision="float32",
            threads=1,
            say=opener.said.append,
            open_reference=lambda: OrtBackend(other, threads=1, where="cpu"),
        )
    with pytest.raises(BackendError, match="does not reproduce the model's results"):
        opener(model, "float32")
    assert opener.verified == 0, "what was found is remembered"


def test_a_precision_that_fails_gives_way_to_float32(
    model: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "candidate_precisions", lambda *arguments: ["bfloat16", "float32"])

    def trust_problem(subject: trust.Subject, *arguments: Any, **options: Any) -> str:
        return "it is pink" if subject.computed == "bfloat16" else ""

    monkeypatch.setattr(opening, "trust_problem", trust_problem)
    with opener(model) as backend:
        assert backend.precision == "float32"
    (line,) = opener.said
    assert line.startswith("bfloat16 is not used: ")
    assert line.endswith("does not reproduce the model's results: it is pink")


def test_what_is_tried_depends_on_the_device_and_the_wish() -> None:
    def device(name: str, *capabilities: str) -> OpenVinoDevice:
        return OpenVinoDevice(name=name, full_name="A chip", capabilities=capabilities)

    plain, quick = device("CPU", "FP32", "FP16"), device("CPU", "FP32", "BF16")
    assert (
        candidate_precisions(INFO, None, plain)
        == candidate_precisions(INFO, "float32", quick)
        == ["float32"]
    )
    assert candidate_precisions(INFO, None, quick) == ["bfloat16", "float32"]
    assert candidate_precisions(INFO, "bfloat16", quick) == ["bfloat16"]
    assert candidate_precisions(INFO, None, device("GPU", "FP32", "FP16")) == ["float16", "float32"]
    with pytest.raises(BackendError, match="A chip supports float32, and bfloat16 was requested"):
        candidate_precisions(INFO, "bfloat16", plain)
    with pytest.raises(ConfigError, match="is float32, and INT8 was requested"):
        candidate_precisions(INFO, "int8", plain)


def test_pictures_of_16_bits_are_computed_in_float32_unless_asked_otherwise(
    model: Path, opener: Opener
) -> None:
    if "BF16" not in require_device("CPU").capabilities:
        pytest.skip("this processor computes no bfloat16")
    picture = noise(32, 32, np.uint16)
    with opener(model, "float32") as backend:
        exact = whole(backend, picture)
    with opener(model) as backend:
        assert backend.precision == "bfloat16"
        np.testing.assert_array_equal(whole(backend, picture), exact)
    with opener(model, "bfloat16") as backend:
        assert (whole(backend, picture) != exact).any()
