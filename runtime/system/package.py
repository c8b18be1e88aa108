"""The installed package: its version, and optional extras."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from runtime.errors import MissingDependency


def require(*packages: str, extra: str) -> None:
    """Check that an extra's packages are installed, without importing them.

    Args:
        packages: import names.
        extra: the extra of the distribution that installs them.

    Raises:
        MissingDependency: one is not installed, or only in part; the message is the command that
            installs it.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        *others, last = missing
        names = f"{', '.join(others)} and {last}, which are" if others else f"{last}, which is"
        raise MissingDependency(f"this needs {names} not installed: pip install 'dggn[{extra}]'")
    for package in packages:
        spec = find_spec(package)
        if spec is not None and spec.origin is None:
            # Only folders are left: Python takes them for a package without any content.
            raise MissingDependency(f"only a part of {package} is installed: {_again(package)}")


def load(package: str, *, extra: str) -> Any:
    """Import a package that may be missing or broken.

    Args:
        package: its import name.
        extra: the extra of the distribution that installs it.

    Returns:
        The module.

    Raises:
        MissingDependency: it is not installed, or only in part, or cannot be loaded.
    """
    require(package, extra=extra)
    try:
        return import_module(package)
    except Exception as error:  # libraries raise anything when a part of them is missing
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise MissingDependency(
            f"{package} is installed, but cannot be loaded ({reason}): {_again(package)}"
        ) from error


def _again(package: str) -> str:
    """Return the command that reinstalls a package."""
    if package == "onnxruntime":
        # Both lie in one folder, and whichever is removed takes the other's files along.
        return (
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'dggn[cpu]' or "
            "'dggn[gpu]', not both"
        )
    return f"pip install --force-reinstall {package}"


def installed_version() -> str:
    """Return the installed distribution's version."""
    # Here, because every `--help` would pay for it: it brings the email parser along.
    from importlib.metadata import version

    return version("dggn")


def _at_start(version: bool) -> None:
    """Set up a command: called before anything else."""
    for stream in (sys.stdout, sys.stderr):
        # File names may hold what a legacy encoding does not.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    if version:
        import typer

        typer.echo(f"dggn {installed_version()}")
        raise typer.Exit


def version_option() -> Any:
    """Return a typer option that prints the version and exits."""
    import typer

    return typer.Option("--version", help="Print the version.", callback=_at_start, is_eager=True)
