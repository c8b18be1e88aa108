"""The OpenVINO package: imported without telemetry or converter, and the devices it finds."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.errors import BackendError
from runtime.system.package import require

_LEFT_OUT = ("openvino_telemetry", "openvino.tools.ovc")
"""Modules that the package imports if it can: its telemetry, and its converter of models."""

_PLACES = ("Exception from ", "Check '", "FrontEnd API failed")
"""Prefixes of the lines in an error that only name a place in OpenVINO's source."""


@dataclass(frozen=True, kw_only=True)
class OpenVinoDevice:
    """A device that OpenVINO can use."""

    name: str
    """OpenVINO's device name: `CPU`, `GPU`, `GPU.1`, `NPU`."""

    full_name: str
    """Human-readable name of the processor or card."""

    capabilities: tuple[str, ...]
    """Capabilities that OpenVINO reports, for example `FP32` and `BF16`."""


def load_openvino() -> Any:
    """Import the package without its telemetry and its converter of models.

    Importing it would start to tell its maker of it, and keep a number for that in the user's
    home; there is no setting against it. Without the package that does so, it goes without.
    The converter takes longer to import than all the rest; other code of this process still
    finds it as `openvino.convert_model`, which imports it then.

    Raises:
        MissingDependency: it is not installed.
        BackendError: it is, and cannot be loaded here.
    """
    require("openvino", extra="cpu")
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    loaded = {name: module for name, module in sys.modules.items() if name in _LEFT_OUT}
    # Python's way to forbid an import.
    sys.modules.update(dict.fromkeys(_LEFT_OUT))  # type: ignore[arg-type]
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(f"OpenVINO cannot be loaded: {error}") from error
    finally:
        for name in _LEFT_OUT:
            del sys.modules[name]
        sys.modules.update(loaded)
    openvino.__getattr__ = _imported_late
    return openvino


def _imported_late(name: str) -> Any:
    """Return what the package lacks without its converter, as its `__getattr__`."""
    if name == "convert_model":
        from openvino.tools.ovc import convert_model

        return convert_model
    raise AttributeError(f"module 'openvino' has no attribute {name!r}")


def openvino_core() -> Any:
    """Return the process's one `openvino.Core`, which is never destroyed.

    Its CPU plugin gives the calling thread a stack for signal handlers. When several of them come
    and go, that stack ends up freed but still in use, and the next signal, be it a Ctrl-C, crashes
    the process.

    Raises:
        MissingDependency: OpenVINO is not installed.
        BackendError: it cannot be loaded here.
    """
    openvino = load_openvino()
    try:
        return _core_of(openvino)
    except Exception as error:  # OpenVINO's exceptions share no base class of their own.
        raise BackendError(f"OpenVINO cannot start: {openvino_reason(error)}") from error


@functools.cache
def _core_of(openvino: Any) -> Any:
    return openvino.Core()


def openvino_devices(names: Sequence[str] | None = None) -> tuple[OpenVinoDevice, ...]:
    """List the devices that OpenVINO finds.

    Args:
        names: their names, if known: finding them loads the drivers of every kind of device.

    Raises:
        MissingDependency: it is not installed.
        BackendError: it cannot be loaded here.
    """
    core = openvino_core()
    try:
        return tuple(_device(core, name) for name in names or core.available_devices)
    except Exception as error:  # As above.
        raise BackendError(f"OpenVINO cannot start: {openvino_reason(error)}") from error


def require_device(name: str) -> OpenVinoDevice:
    """Return the device of that name; `GPU` means the first of several.

    Raises:
        MissingDependency: OpenVINO is not installed.
        BackendError: it cannot be loaded, or finds no such device.
    """
    found = openvino_devices(["CPU"] if name == "CPU" else None)
    for device in found:
        if device.name == name or device.name == f"{name}.0":
            return device
    known = ", ".join(f"{device.name}: {device.full_name}" for device in found)
    raise BackendError(f"OpenVINO finds no {name} here: expected one of {known or 'nothing'}")


def openvino_reason(error: BaseException) -> str:
    """Return the message of an OpenVINO error without its source locations."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(_PLACES)]
    return " ".join(said or lines)[:300] or type(error).__name__


def _device(core: Any, name: str) -> OpenVinoDevice:
    return OpenVinoDevice(
        name=name,
        full_name=str(core.get_property(name, "FULL_DEVICE_NAME")).strip(),
        capabilities=tuple(core.get_property(name, "OPTIMIZATION_CAPABILITIES")),
    )
