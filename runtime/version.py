"""The installed version, and the `--version` option that all commands share."""

from __future__ import annotations

from typing import Any

import typer


def installed_version() -> str:
    """The version of the installed distribution."""
    # Here, because every `--help` would pay for it: it brings the email parser along.
    from importlib.metadata import version

    return version("dggn")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dggn {installed_version()}")
        raise typer.Exit


def version_option() -> Any:
    """A typer option that prints the version and ends the command."""
    return typer.Option(
        "--version", help="Print the version.", callback=_print_version, is_eager=True
    )
