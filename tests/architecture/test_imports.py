"""Heavy libraries are imported lazily, and `runtime` needs neither torch nor onnx."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from tests.support.processes import run

HEAVY = (
    "torch",
    "onnx",
    "onnxruntime",
    "openvino",
    "av",
    "onnxscript",
    "safetensors",
    "tensorrt",
    "tensorrt_rtx",
    "cuda",
    "matplotlib",
    "tensorboard",
    "obstore",
    "ray",
    "starlette",
    "uvicorn",
    "prometheus_client",
)

COMMANDS = {
    entry.name: entry.value.partition(":")[0]
    for entry in entry_points(group="console_scripts")
    if entry.dist is not None and entry.dist.name == "dggn"
}

BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

IMPORT_ALL_OF_RUNTIME = """
import pkgutil
from importlib import import_module
import runtime

for module in pkgutil.walk_packages(runtime.__path__, "runtime."):
    # What the server is made of is imported by its command alone, when its extra is there.
    if not module.name.startswith("runtime.serve.") or module.name == "runtime.serve.cli":
        import_module(module.name)
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", code])


def blocking(*names: str) -> str:
    return f"BLOCKED = {names!r}\n{BLOCK}"


def test_all_commands_are_installed() -> None:
    assert set(COMMANDS) == {
        "dggn-run",
        "dggn-serve",
        "dggn-export",
        "dggn-train",
        "dggn-eval",
        "dggn-calibrate",
    }


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_work_with_base_dependencies(command: str, option: str) -> None:
    code = f"from {COMMANDS[command]} import app\napp([{option!r}], prog_name={command!r})"
    result = run_python(blocking(*HEAVY) + code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


@pytest.mark.parametrize("module", [*sorted(COMMANDS.values()), "dggn"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    result = run_python(f"import sys, {module}\nprint(*sys.modules)")
    assert result.returncode == 0, result.stderr
    assert not set(HEAVY) & set(result.stdout.split())


def test_runtime_imports_without_any_framework() -> None:
    result = run_python(blocking(*HEAVY) + IMPORT_ALL_OF_RUNTIME)
    assert result.returncode == 0, result.stderr


def test_runtime_upscales_without_torch_and_onnx() -> None:
    pytest.importorskip("onnxruntime")
    code = "import numpy, dggn\nprint(dggn.upscale(numpy.zeros((5, 7, 3), numpy.uint8)).shape)"
    result = run_python(blocking("torch", "onnx", "onnxscript", "safetensors") + code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(20, 28, 3)"
