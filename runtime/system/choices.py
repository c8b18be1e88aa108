"""Checks values against a fixed list."""

from __future__ import annotations

from typing import Any, get_args

from runtime.errors import ConfigError


def check_choice(value: object, choices: Any, *, what: str) -> None:
    """Check that a value is one of a `Literal` type's.

    Examples:
        >>> from typing import Literal
        >>> check_choice("cpu", Literal["cuda", "cpu"], what="backend")

    Args:
        value: the value to check.
        choices: a `Literal` type.
        what: the name of the setting, for the error message.

    Raises:
        ConfigError: the value is not in the list.
    """
    known = get_args(choices)
    if value not in known:
        raise ConfigError(f"{what} is {value!r:.60}: expected one of {', '.join(known)}")
