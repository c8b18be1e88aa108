"""Opens GPUs through the installed CUDA package for Python."""

from __future__ import annotations

import os
from importlib.util import find_spec

from runtime.backends.cuda.device import Device
from runtime.errors import ConfigError, MissingDependency

VARIABLE = "DGGN_CUDA"
"""Environment variable that selects one of the packages if both are installed."""

PACKAGES = {"cuda-bindings": "cuda.bindings", "pycuda": "pycuda"}
"""Distribution names and the modules to import; the first one installed is used."""


def cuda_package() -> str:
    """Return the name of the package in use.

    Raises:
        ConfigError: `DGGN_CUDA` names another one.
        MissingDependency: neither is installed, or not the one named.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted and wanted not in PACKAGES:
        raise ConfigError(f"{VARIABLE} is {wanted!r}: expected {' or '.join(PACKAGES)}")
    for name, module in PACKAGES.items():
        if name == (wanted or name) and _is_installed(module):
            return name
    what = wanted or "cuda-bindings"
    raise MissingDependency(
        f"this needs {what}, which is not installed: "
        f"pip install 'dggn[{'pycuda' if wanted == 'pycuda' else 'trt'}]'"
    )


def open_device(index: int) -> Device:
    """Open a GPU through the installed package.

    Args:
        index: CUDA device index.

    Raises:
        ConfigError: `DGGN_CUDA` names an unknown package.
        MissingDependency: neither package is installed.
        BackendError: there is no driver, or no such GPU.
    """
    if cuda_package() == "pycuda":
        from runtime.backends.cuda.pycuda_device import PycudaDevice

        return PycudaDevice(index)
    from runtime.backends.cuda.bindings_device import BindingsDevice

    return BindingsDevice(index)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False
