"""The real Python packages for CUDA, with a simulated driver and without any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.backends.cuda import open as open_module
from runtime.backends.cuda.open import cuda_package
from runtime.errors import ConfigError, MissingDependency

ROOT = Path(__file__).parents[5]
SUPPORT = ROOT / "tests" / "support"
MODULES = {"cuda-bindings": "cuda.bindings", "pycuda": "pycuda"}


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library that the packages will load."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux")
    folder = tmp_path_factory.mktemp("driver")
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1")]
    subprocess.run([*command, str(SUPPORT / "fake_driver.c"), "-ldl"], check=True)
    return folder


def run(code: list[str], package: str, folder: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "DGGN_CUDA": package,
        "LD_LIBRARY_PATH": str(folder or ""),
    }
    return subprocess.run(
        [sys.executable, *code], capture_output=True, text=True, env=environment, timeout=120
    )


def test_the_real_package_with_a_fake_driver(fake_driver: Path, tmp_path: Path) -> None:
    # Not PyCUDA: it is linked with every function of the driver, most of which are not here.
    pytest.importorskip("cuda.bindings")
    package = "cuda-bindings"
    result = run(
        [str(SUPPORT / "with_fake_driver.py"), package, str(tmp_path)], package, fake_driver
    )
    assert result.returncode == 0, result.stderr
    left = result.stderr.strip().splitlines()[-1]
    assert left == "fake driver: 0 objects, 0 bytes, 1 contexts left", "not everything was freed"


WITHOUT_A_DRIVER = """
from runtime.backends.cuda.open import open_device
from runtime.errors import BackendError
try:
    open_device(0)
except BackendError as error:
    print(error)
"""


@pytest.mark.gpu
def test_the_real_package_with_the_real_driver() -> None:
    """Copies to the device and back, directly and in a graph."""
    import numpy as np

    from runtime.backends.cuda.open import open_device

    device = open_device(0)
    with device.active():
        stream = device.new_stream()
        source, target, memory = (
            device.new_pinned(1 << 20),
            device.new_pinned(1 << 20),
            device.new_memory(1 << 20),
        )
        source.array[:] = np.random.default_rng(0).integers(0, 256, 1 << 20)

        def work() -> None:
            stream.copy_in(memory, source, 1 << 20)
            stream.copy_out(target, memory, 1 << 20)

        if cuda_package() == "cuda-bindings":
            graph = stream.capture(work)
            stream.launch(graph)
            stream.wait()
            np.testing.assert_array_equal(target.array, source.array)
            graph.free()
        target.array[:] = 0
        work()
        stream.wait()
        np.testing.assert_array_equal(target.array, source.array)
        for thing in (source, target, memory, stream):
            thing.free()
    device.close()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a driver here")
@pytest.mark.parametrize("package", sorted(MODULES))
def test_the_real_package_without_a_driver(package: str) -> None:
    if package == "pycuda" and shutil.which("nvidia-smi") is None:
        # Not importorskip, because its import is what fails without a driver.
        from importlib.util import find_spec

        if find_spec("pycuda") is None:
            pytest.skip("pycuda is not installed")
    else:
        pytest.importorskip(MODULES[package])
    result = run(["-c", WITHOUT_A_DRIVER], package, None)
    assert result.returncode == 0, result.stderr
    assert "driver" in result.stdout
    assert "nvidia-smi shows it" in result.stdout
    assert result.stderr == ""


def test_which_package_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"cuda.bindings", "pycuda"}
    monkeypatch.setattr(open_module, "_is_installed", lambda module: module in installed)
    monkeypatch.delenv("DGGN_CUDA", raising=False)
    assert cuda_package() == "cuda-bindings"
    monkeypatch.setenv("DGGN_CUDA", "pycuda")
    assert cuda_package() == "pycuda"
    installed.remove("pycuda")
    with pytest.raises(MissingDependency, match=r"needs pycuda.*dggn\[pycuda\]"):
        cuda_package()
    monkeypatch.setenv("DGGN_CUDA", "cupy")
    with pytest.raises(ConfigError, match="DGGN_CUDA is 'cupy': expected cuda-bindings or pycuda"):
        cuda_package()
    monkeypatch.delenv("DGGN_CUDA")
    installed.clear()
    with pytest.raises(MissingDependency, match=r"needs cuda-bindings.*dggn\[trt\]"):
        cuda_package()
