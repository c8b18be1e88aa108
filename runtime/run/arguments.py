"""Parsers for arguments of `dggn-run`."""

from __future__ import annotations

from pathlib import Path

import typer

from runtime.errors import ConfigError
from runtime.stores.url import StoreUrl


def path_argument(text: str) -> Path | StoreUrl:
    """Parse a path or URL; an empty one, as from an unset shell variable, is an error."""
    if not text:
        raise typer.BadParameter("it is empty; the current folder is .")
    try:
        return StoreUrl.parse(text) or Path(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def list_devices(devices: str | None) -> str | None:
    """Print the choices for `--devices` and exit, if requested."""
    if devices != "list":
        return devices
    from runtime.backends.devices import describe_devices

    for line in describe_devices():
        typer.echo(line)
    raise typer.Exit


def gpu_numbers(text: str) -> tuple[int, ...]:
    """Parse GPU numbers.

    Raises:
        ConfigError: they are none.
    """
    numbers = [number.strip() for number in text.split(",")]
    if len(set(numbers)) < len(numbers) or not all(
        number.isascii() and number.isdigit() for number in numbers
    ):
        raise ConfigError(
            f"--devices is {text!r}: expected different numbers, for example 0,1; "
            "or, with --backend openvino, for example GPU"
        )
    return tuple(map(int, numbers))


def openvino_device(text: str | None) -> str:
    """Parse an OpenVINO device name.

    Raises:
        ConfigError: it is none.
    """
    name = "CPU" if text is None else text.upper()
    kind, _, number = name.partition(".")
    if kind not in ("CPU", "GPU", "NPU") or not (name == kind or number.isdecimal()):
        raise ConfigError(
            f"--devices is {text!r}: OpenVINO has CPU, GPU, GPU.1 and NPU; "
            "`dggn-run --devices list` says which of them are here"
        )
    return name
