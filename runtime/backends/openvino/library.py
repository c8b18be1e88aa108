"""The OpenVINO package: imported without telemetry, and the devices it finds."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import Any

from runtime.errors import BackendError
from runtime.system.package import require

_TELEMETRY = "openvino_telemetry"

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
    """Import the package without its telemetry.

    Importing it would start to tell its maker of it, and keep a number for that in the user's
    home; there is no setting against it. Without the package that does so, it goes without.

    Raises:
        MissingDependency: it is not installed.
        BackendError: it is, and cannot be loaded here.
    """
    require("openvino", extra="cpu")
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    loaded = {name: module for name, module in sys.modules.items() if name == _TELEMETRY}
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # Python's way to forbid an import
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(f"OpenVINO cannot be loaded: {error}") from error
    finally:
        del sys.modules[_TELEMETRY]
        sys.modules.update(loaded)
    return openvino


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


def openvino_devices() -> tuple[OpenVinoDevice, ...]:
    """List the devices that OpenVINO finds.

    Raises:
        MissingDependency: it is not installed.
        BackendError: it cannot be loaded here.
    """
    core = openvino_core()
    try:
        return tuple(_device(core, name) for name in core.available_devices)
    except Exception as error:  # As above.
        raise BackendError(f"OpenVINO cannot start: {openvino_reason(error)}") from error


def require_device(name: str) -> OpenVinoDevice:
    """Return the device of that name; `GPU` means the first of several.

    Raises:
        MissingDependency: OpenVINO is not installed.
        BackendError: it sees no such device.
    """
    found = openvino_devices()
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
