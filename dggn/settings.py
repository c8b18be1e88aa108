"""Parses frozen dataclasses from plain mappings (TOML, JSON), with errors that name the field.

Configuration is strict: an unknown key is refused with the nearest known one, a value of the
wrong type with the type expected. Nothing is converted silently, except that an integer is
accepted where a float is asked for and a list where a tuple is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from runtime.errors import ConfigError

T = TypeVar("T")

_KINDS = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false"}


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Build the dataclass `cls` from `values`, including nested dataclasses.

    Args:
        cls: a dataclass; its optional fields (`X | None`) have None as their default.
        values: field values by name; those with a default are optional.
        where: origin of the values, for error messages.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type or range.
    """
    assert is_dataclass(cls)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is {_short(values)}: expected a table of settings")
    known = {field.name: field for field in fields(cls)}
    for key in values:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"{where}: unknown setting {_short(key)}: {hint}")
    missing = [
        name
        for name, field in known.items()
        if name not in values and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: missing setting {', '.join(missing)}")
    hints = get_type_hints(cls)
    arguments = {
        name: _converted(value, hints[name], f"{where}: {name}") for name, value in values.items()
    }
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def to_mapping(settings: Any) -> dict[str, Any]:
    """Convert settings to plain JSON types, the inverse of :func:`from_mapping`."""
    plain: dict[str, Any] = _plain(asdict(settings))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        # TOML has no null: what is None is left out, and comes back as the default.
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _converted(value: Any, hint: Any, where: str) -> Any:
    if get_origin(hint) in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not NoneType]
        if value is None and len(options) < len(get_args(hint)):
            return None
        (hint,) = options
    if is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, where=where)
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} is {_short(value)}: expected a list")
        if inner[-1] is Ellipsis:
            inner = inner[:1] * len(value)
        if len(value) != len(inner):
            raise ConfigError(f"{where} is {_short(value)}: expected {len(inner)} values")
        return tuple(_converted(item, each, where) for item, each in zip(value, inner, strict=True))
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise ConfigError(f"{where} is {_short(value)}: expected {_KINDS[hint]}")
    return value
