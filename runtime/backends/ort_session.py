"""Creates ONNX Runtime sessions, and finds the reason if CUDA does not start.

ONNX Runtime itself goes on with the CPU in such a case, says why on stderr alone, and prints to
stdout when it falls back later: both are turned off here.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from runtime.backends.gpu import probe
from runtime.errors import BackendError, MissingDependency, ModelError
from runtime.system.package import load
from runtime.system.path_text import path_text

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

Where = Literal["auto", "cuda", "cpu"]

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")
"""Distributions of which only one may be installed: their files have the same names."""

REMEDY = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'dggn[gpu]'"

_NOT_LOADED = re.compile(r"^Failed to load (?P<file>.*?): ", re.MULTILINE)
_MISSING_FILE = re.compile(r"^(?P<file>\S+): cannot open shared object file")
_PROVIDERS = ("libonnxruntime_providers_cuda.so", "onnxruntime_providers_cuda.dll")


def load_onnxruntime(*, extra: str = "cpu") -> Any:
    """Import ONNX Runtime, with its log silenced.

    Raises:
        MissingDependency: it is not installed, or only in part, or cannot be loaded.
    """
    onnxruntime = load("onnxruntime", extra=extra)
    # Results go through exceptions; its own log would only repeat them on stderr.
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def has_cuda() -> bool:
    """Return whether ONNX Runtime is installed with CUDA support."""
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None or _cuda_library(Path(spec.origin).parent) is None:
        return False  # known without importing it, which takes long
    try:
        return CUDA in load_onnxruntime().get_available_providers()
    except MissingDependency:
        return False


def cuda_provider(device: int, **more: str) -> tuple[str, dict[str, str]]:
    """Return the CUDA provider with its settings.

    Args:
        device: CUDA device index.
        more: further settings, by ONNX Runtime's names.
    """
    # TF32, its default, has float16's digits: whoever asks for float32 shall get it.
    return CUDA, {"device_id": str(device), "use_tf32": "0", **more}


def make_session(
    path: Path, options: Any, *, where: Where, device: int = 0, **more: str
) -> tuple[Any, str]:
    """Open a model.

    Args:
        path: the ONNX file.
        options: ONNX Runtime's `SessionOptions`.
        where: `auto` is on CUDA where that works, else on the CPU.
        device: CUDA device index.
        more: further settings of the CUDA provider.

    Returns:
        The session, and why it is not on CUDA: empty where it is, or need not be.

    Raises:
        ModelError: the file cannot be loaded, wherever.
        BackendError: CUDA is asked for and does not start; the message says why.
    """
    onnxruntime = load_onnxruntime()
    if where == "cpu":
        return _on_processor(onnxruntime, path, options), ""
    problem = _no_cuda(onnxruntime)
    if not problem:
        preload()
        try:
            session = onnxruntime.InferenceSession(
                path_text(path),
                options,
                providers=[cuda_provider(device, **more), CPU],
                enable_fallback=False,
            )
        except Exception as error:  # noqa: BLE001 - they share no public base class
            problem = _one_line(str(error))
        else:
            if session.get_providers()[0] == CUDA:
                return session, ""
            problem = why_not_on_cuda(onnxruntime)
    # A model that cannot be loaded at all is the model's own fault.
    session = _on_processor(onnxruntime, path, options)
    if where == "cuda":
        raise BackendError(f"ONNX Runtime does not start on CUDA: {problem}")
    return session, problem


@cache
def preload() -> tuple[str, ...]:
    """Load CUDA's libraries from NVIDIA's packages, which ONNX Runtime may not find itself.

    Returns:
        The names of those that cannot be loaded.
    """
    onnxruntime = load_onnxruntime()
    if not hasattr(onnxruntime, "preload_dlls"):  # before 1.21
        return ()
    said = io.StringIO()  # it prints, and stdout is for results
    with contextlib.redirect_stdout(said):
        onnxruntime.preload_dlls()
    return tuple(Path(found["file"]).name for found in _NOT_LOADED.finditer(said.getvalue()))


def why_not_on_cuda(onnxruntime: Any) -> str:
    """Explain why a session is on the CPU although CUDA was requested, with the remedy."""
    missing = preload()
    if missing:
        plural = "is" if len(missing) == 1 else "are"
        return f"{', '.join(missing)} {plural} missing: {REMEDY}"
    library = _cuda_library(Path(onnxruntime.__file__).parent)
    if library is not None:
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            found = _MISSING_FILE.match(str(error))
            if found and found["file"].startswith("libcuda.so"):
                return "the NVIDIA driver is not installed: nvidia-smi must list a GPU"
            what = f"{found['file']} is missing" if found else _one_line(str(error))
            return f"{what}: {REMEDY}"
    try:
        problem = probe().problem
    except (BackendError, MissingDependency) as error:
        problem = str(error)
    return problem or (
        f"onnxruntime-gpu {onnxruntime.__version__} gives no reason: its CUDA version "
        f"({getattr(onnxruntime, 'cuda_version', '') or 'unknown'}) and the driver must suit each "
        "other; nvidia-smi shows what the driver supports"
    )


def _cuda_library(package: Path) -> Path | None:
    """Return ONNX Runtime's library for CUDA; None if it was built for CPUs only."""
    paths = (package / "capi" / name for name in _PROVIDERS)
    return next((path for path in paths if path.exists()), None)


def _no_cuda(onnxruntime: Any) -> str:
    """Explain why CUDA is not worth trying; empty if it may work."""
    installed = [name for name in DISTRIBUTIONS if _is_installed(name)]
    if len(installed) > 1:
        return (
            f"{' and '.join(installed)} are both installed and have overwritten each other's "
            f"files: {REMEDY}"
        )
    if CUDA not in onnxruntime.get_available_providers():
        return f"the installed ONNX Runtime is for CPUs only: {REMEDY}"
    return ""


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _on_processor(onnxruntime: Any, path: Path, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(
            path_text(path), options, providers=[CPU], enable_fallback=False
        )
    except Exception as error:
        raise ModelError(
            f"{path} cannot be loaded by ONNX Runtime ({error}): "
            "expected a model that enlarges pictures, such as `dggn-export onnx` writes"
        ) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
