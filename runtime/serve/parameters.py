"""The parameters of `/upscale`: the options of `dggn-run` with the same names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from runtime.codecs.formats import HAS_AVIF
from runtime.codecs.output import FormatName, OutputSettings
from runtime.serve.problems import Problem
from runtime.serve.strengths import STRENGTHS

FORMATS = tuple(name for name in get_args(FormatName) if name != "avif" or HAS_AVIF)
MOST_PX = 1_000_000
"""Maximum side: more than any format holds that is not written in strips."""

ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter."""

    field: str | None
    """Field of `OutputSettings`, if it has one."""
    read: Callable[[str], Any]
    """Parser, which raises `ValueError`."""
    schema: Mapping[str, Any]
    """OpenAPI schema."""
    description: str


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= MOST_PX:
        raise ValueError(f"a whole number from 1 to {MOST_PX}")
    return int(text)


def _quality(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise ValueError("a whole number from 1 to 100")
    return int(text)


def _number(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        expected = f"a number above 0, at most {most:g}"
        # Only what JSON calls a number: Python's float() also takes "1_0" and " nan ".
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
            raise ValueError(expected)
        value = float(text)
        if not (math.isfinite(value) and 0 < value <= most):
            raise ValueError(expected)
        return value

    return read


def _strength(text: str) -> float:
    for strength in STRENGTHS:
        if re.fullmatch(r"[0-9]\.?[0-9]{0,2}", text) and float(text) == strength:
            return strength
    raise ValueError(f"one of {', '.join(f'{strength:g}' for strength in STRENGTHS)}")


def _choice(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(f"one of {', '.join(FORMATS)}")
    return text


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError("16 to 64 letters, digits, - or _")
    return text


_PX = {"type": "integer", "minimum": 1, "maximum": MOST_PX}
PARAMETERS: dict[str, Parameter] = {
    "scale": Parameter(
        field="scale",
        read=_number(256),
        schema={"type": "number", "exclusiveMinimum": 0, "maximum": 256},
        description="Output scale, for example 1.5; the model's own, usually 4, by default.",
    ),
    "width": Parameter(
        field="width_px",
        read=_whole,
        schema=_PX,
        description="Output width in pixels; the height follows.",
    ),
    "height": Parameter(
        field="height_px",
        read=_whole,
        schema=_PX,
        description="Output height in pixels; the width follows.",
    ),
    "max_size": Parameter(
        field="max_size_px",
        read=_whole,
        schema=_PX,
        description="Maximum length of the longer side in pixels.",
    ),
    "megapixels": Parameter(
        field="megapixels",
        read=_number(1_000_000),
        schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
        description="Output size in megapixels.",
    ),
    "second_pass": Parameter(
        field="second_pass",
        read=_flag,
        schema={"type": "boolean"},
        description="Run the model twice if one pass is not large enough.",
    ),
    "denoise": Parameter(
        field=None,
        read=_strength,
        schema={"type": "number", "enum": list(STRENGTHS)},
        description="How much noise and JPEG artefacts to remove, by models for photographs: 0 "
        "keeps grain and texture, 1 is cleanest.",
    ),
    "format": Parameter(
        field="format",
        read=_choice,
        schema={"type": "string", "enum": list(FORMATS)},
        description="Output format; the picture's own by default.",
    ),
    "quality": Parameter(
        field="quality",
        read=_quality,
        schema={"type": "integer", "minimum": 1, "maximum": 100},
        description="Quality of JPEG, WebP and AVIF; 95 by default.",
    ),
    "id": Parameter(
        field=None,
        read=_id,
        schema={"type": "string", "pattern": f"^{ID.pattern}$"},
        description="A secret of the client's choice, by which it can ask for /progress.",
    ),
}
"""Parameters by name; at most one of the five sizes may be given."""


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """Settings of one request."""

    settings: OutputSettings
    denoise: float | None
    """Strength of denoising; None for the server's own."""
    id: str | None


def read_parameters(
    pairs: Iterable[tuple[str, str]], *, known: Mapping[str, Parameter] = PARAMETERS
) -> dict[str, Any]:
    """Parse parameters to values by name.

    Args:
        pairs: names and values, as a query or a form has them.
        known: those that may be given.

    Raises:
        Problem: 400, one is unknown, given twice, or invalid.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name not in known:
            raise Problem(400, f"unknown parameter {name[:40]!r}: expected {_listed(known)}")
        if name in values:
            raise Problem(400, f"{name} is given twice: leave one out")
        try:
            values[name] = known[name].read(text)
        except ValueError as error:
            raise Problem(400, f"{name} is {text[:40]!r}: expected {error}") from None
    return values


def options_of(values: Mapping[str, Any]) -> RequestOptions:
    """Combine values to settings.

    Raises:
        ConfigError: they exclude each other.
    """
    fields = {
        field: value
        for name, value in values.items()
        if (field := PARAMETERS[name].field) is not None
    }
    return RequestOptions(
        settings=OutputSettings(**fields), denoise=values.get("denoise"), id=values.get("id")
    )


def _listed(known: Mapping[str, Parameter]) -> str:
    return ", ".join(known) if known else "none"
