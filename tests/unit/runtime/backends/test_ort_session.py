"""ONNX Runtime's sessions, and reasons for not using CUDA."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs the cpu extra")

from runtime.backends import ort_session
from runtime.backends.gpu import Probe
from runtime.backends.ort_session import CPU, CUDA, has_cuda, make_session, preload
from runtime.errors import BackendError, MissingDependency, ModelError
from runtime.model.info import model_path

LITE = model_path("dggn-lite")
PRELOAD = """Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object file
Failed to load /there/nvidia/cu13/lib/libcudart.so.13: too old
Please follow https://onnxruntime.ai/docs/install/#cuda-and-cudnn to install CUDA."""


class CudaRuntime:
    """An ONNX Runtime for CUDA, and its behaviour."""

    __version__ = "1.31.1"

    def __init__(self, folder: Path) -> None:
        self.__file__ = str(folder / "__init__.py")
        self.starts = True
        self.prints = ""
        self.error: Exception | None = None
        self.sessions: list[tuple[list[Any], dict[str, Any]]] = []

    def set_default_logger_severity(self, severity: int) -> None:
        assert severity == 4

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def preload_dlls(self) -> None:
        if self.prints:
            sys.stdout.write(self.prints)

    def InferenceSession(self, path: Path, options: Any, providers: list[Any], **more: Any) -> Any:
        self.sessions.append((providers, more))
        if providers[0] != CPU and self.error:
            raise self.error
        on_cuda = self.starts and providers[0] != CPU
        return SimpleNamespace(get_providers=lambda: [CUDA, CPU] if on_cuda else [CPU])


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CudaRuntime]:
    library = CudaRuntime(tmp_path)
    monkeypatch.setattr(ort_session, "load", lambda name, extra: library)
    monkeypatch.setattr(ort_session, "_is_installed", lambda name: name == "onnxruntime-gpu")
    monkeypatch.setattr(ort_session, "probe", lambda: Probe(gpus=(), problem="no GPU is there"))
    preload.cache_clear()
    yield library
    preload.cache_clear()


def test_float32_is_no_tf32_and_nothing_falls_back(library: CudaRuntime) -> None:
    session, problem = make_session(LITE, None, where="cuda", device=2, user_compute_stream="5")
    assert session.get_providers()[0] == CUDA
    assert problem == ""
    ((providers, more),) = library.sessions
    settings = {"device_id": "2", "use_tf32": "0", "user_compute_stream": "5"}
    assert providers == [(CUDA, settings), CPU]
    assert more == {"enable_fallback": False}


def test_missing_libraries_are_named_with_the_remedy(
    library: CudaRuntime, capsys: pytest.CaptureFixture[str]
) -> None:
    library.starts, library.prints = False, PRELOAD
    with pytest.raises(BackendError, match=r"libcublasLt.so.13, libcudart.so.13 are missing: pip"):
        make_session(LITE, None, where="cuda")
    session, problem = make_session(LITE, None, where="auto")
    assert session.get_providers() == [CPU]
    assert problem.endswith("pip install 'dggn[gpu]'")
    assert capsys.readouterr() == ("", ""), "stdout is for results"


def test_the_providers_own_library_says_what_it_lacks(
    library: CudaRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.starts = False
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").touch()

    def lacks(name: str) -> Any:
        def load_library(path: str) -> None:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")

        return SimpleNamespace(CDLL=load_library)

    monkeypatch.setattr(ort_session, "ctypes", lacks("libcudnn.so.9"))
    with pytest.raises(BackendError, match=r"libcudnn.so.9 is missing: pip uninstall"):
        make_session(LITE, None, where="cuda")
    monkeypatch.setattr(ort_session, "ctypes", lacks("libcuda.so.1"))
    with pytest.raises(BackendError, match="the NVIDIA driver is not installed: nvidia-smi"):
        make_session(LITE, None, where="cuda")


def test_the_driver_is_asked_where_no_library_is_missing(
    library: CudaRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.starts = False
    with pytest.raises(BackendError, match="does not start on CUDA: no GPU is there"):
        make_session(LITE, None, where="cuda")
    monkeypatch.setattr(ort_session, "probe", lambda: Probe(gpus=()))
    with pytest.raises(BackendError, match=r"onnxruntime-gpu 1.31.1 gives no reason.*nvidia-smi"):
        make_session(LITE, None, where="cuda")


def test_what_onnx_runtime_raises_is_the_reason(library: CudaRuntime) -> None:
    library.error = RuntimeError("CUDA failure 100:\n no CUDA-capable device is detected")
    with pytest.raises(BackendError, match="CUDA failure 100: no CUDA-capable device is detected"):
        make_session(LITE, None, where="cuda")


def test_two_onnx_runtimes_are_refused_on_cuda_alone(
    library: CudaRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort_session, "_is_installed", lambda name: True)
    with pytest.raises(BackendError, match=r"both installed.*pip uninstall -y onnxruntime onnx"):
        make_session(LITE, None, where="cuda")
    _, problem = make_session(LITE, None, where="auto")
    assert "have overwritten each other's files" in problem
    assert make_session(LITE, None, where="cpu")[1] == ""


def test_distributions_are_found_by_their_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "onnxruntime":
            return "1.32.0"
        raise PackageNotFoundError(name)

    monkeypatch.setattr(ort_session, "version", version)
    assert ort_session._is_installed("onnxruntime")
    assert not ort_session._is_installed("onnxruntime-gpu")


def test_a_model_that_cannot_be_loaded_is_its_own_fault(tmp_path: Path) -> None:
    import onnxruntime

    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"x.onnx cannot be loaded by ONNX Runtime"):
        make_session(tmp_path / "x.onnx", onnxruntime.SessionOptions(), where="auto")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an ONNX Runtime for CUDA."""
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(ort_session, "find_spec", lambda name: spec)
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").touch()
    return tmp_path


def test_cuda_of_an_onnx_runtime(
    package: Path, library: CudaRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert has_cuda()
    monkeypatch.setattr(library, "get_available_providers", lambda: [CPU])
    assert not has_cuda()


def test_an_onnx_runtime_for_cpus_is_not_imported(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort_session, "load", pytest.fail)
    (package / "capi" / "libonnxruntime_providers_cuda.so").unlink()
    assert not has_cuda()
    monkeypatch.setattr(ort_session, "find_spec", lambda name: None)
    assert not has_cuda()


def test_a_broken_onnx_runtime_has_no_cuda(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, extra: str) -> Any:
        raise MissingDependency("only a part of onnxruntime is installed")

    monkeypatch.setattr(ort_session, "load", broken)
    assert not has_cuda()


def test_the_real_library_without_a_gpu(tmp_path: Path) -> None:
    """Output of `dggn-run` with the CUDA wheel on a machine without CUDA."""
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers() or shutil.which("nvidia-smi"):
        pytest.skip("needs onnxruntime-gpu and no driver")
    command = "from runtime.cli import app; app()"
    result = subprocess.run(
        [sys.executable, "-c", command, "examples", str(tmp_path), "--backend", "cuda", "--json"],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 3
    error = json.loads(result.stdout)["error"]
    # The libraries that the wheel lacks, or where they are installed, the driver.
    named = r"does not start on CUDA: (lib\w+\.so\.\d+.* missing: pip |.*nvidia-smi)"
    assert re.search(named, error)
    assert "dggn[gpu]" in error or "driver is not installed" in error
    assert len(result.stderr.splitlines()) == 1
