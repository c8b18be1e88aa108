"""Optional packages: found, or named with the extra that brings them."""

from __future__ import annotations

from importlib.util import find_spec

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
