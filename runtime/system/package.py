"""The installed package: its version, and the extras that it may lack."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from runtime.errors import MissingDependency


def require(*packages: str, extra: str) -> None:
    """Check that packages can be imported, without importing them.

    Args:
        packages: import names.
        extra: the extra of the distribution that installs them.

    Raises:
        MissingDependency: one is not installed; the message is the command that installs it.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise MissingDependency(
            f"this needs {' and '.join(missing)}, which is not installed: "
            f"pip install 'dggn[{extra}]'"
        )


def installed_version() -> str:
    """The version of the installed distribution."""
    # Here, because every `--help` would pay for it: it brings the email parser along.
    from importlib.metadata import version

    return version("dggn")


def _print_version(asked: bool) -> None:
    if asked:
        import typer

        typer.echo(f"dggn {installed_version()}")
        raise typer.Exit


def version_option() -> Any:
    """A typer option that prints the version and ends the command."""
    import typer

    return typer.Option(
        "--version", help="Print the version.", callback=_print_version, is_eager=True
    )
