"""Reads and writes engines with their JSON sidecars, since plans cannot hold our facts.

`x.engine` is TensorRT's plan, `x.engine.json` says what it was made of, for what, and whether it
was verified. The plan is written first: a plan without a sidecar is no engine. A sidecar names its
plan's hash, so that one is never taken for another's.

Loading a plan hands it to TensorRT, which trusts it like a program. A sidecar does not make a
stranger's plan safe; it keeps our own engines from being mixed up.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime.backends.trt.engine_facts import EngineFacts, Verification
from runtime.backends.trt.request import EngineRequest
from runtime.errors import ConfigError, ModelError
from runtime.model.info import ModelInfo, file_sha256
from runtime.system.files import write_whole

FORMAT = 1
"""Version of sidecars and of the graphs that engines are built from; older files are stale."""

SUFFIX = ".engine"
MAX_SIDECAR_BYTES = 64 * 1024

_KEYS = {"request": "options"}
"""Names in sidecars that are not the field's: engines in users' caches have them."""


def sidecar_path(engine: Path) -> Path:
    """Return the path of an engine's sidecar: the engine's path plus `.json`."""
    return engine.with_name(f"{engine.name}.json")


def read_facts(engine: Path) -> EngineFacts:
    """Read an engine's sidecar, and check that it belongs to the engine.

    Args:
        engine: the plan; its sidecar lies beside it.

    Raises:
        ModelError: either is missing, damaged or in another format, or they do not match.
    """
    sidecar = sidecar_path(engine)
    try:
        if not engine.is_file():
            raise ModelError(f"{engine} does not exist")
        if not sidecar.is_file():
            raise ModelError(f"{engine} has no {sidecar.name} beside it, which says what it is")
        size = sidecar.stat().st_size
        if size > MAX_SIDECAR_BYTES:
            raise ModelError(
                f"{sidecar} has {size:,} bytes: expected at most {MAX_SIDECAR_BYTES:,}"
            )
        facts = _parse(sidecar.read_bytes())
        found = engine.stat().st_size
        if found != facts.plan_bytes:
            raise ModelError(f"it has {found:,} bytes: expected {facts.plan_bytes:,}")
        if file_sha256(engine) != facts.plan_sha256:
            raise ModelError("its content does not match its sidecar")
    except OSError as error:
        raise ModelError(f"{engine} cannot be read: {error.strerror or error}") from error
    except (ModelError, ConfigError) as error:
        raise ModelError(
            f"{engine} is not a usable engine ({error}): rebuild it with `dggn-export trt --force`"
        ) from error
    return facts


def write_engine(engine: Path, plan: bytes, facts: EngineFacts) -> None:
    """Write an engine and its sidecar, the sidecar last.

    Raises:
        TargetError: one cannot be written. A sidecar that was there before describes no plan then.
    """
    if hashlib.sha256(plan).hexdigest() != facts.plan_sha256 or len(plan) != facts.plan_bytes:
        raise AssertionError("the facts belong to another plan")
    write_whole(engine, plan)
    write_facts(engine, facts)


def write_facts(engine: Path, facts: EngineFacts) -> None:
    """Rewrite the sidecar alone, after verification at first use.

    Raises:
        TargetError: it cannot be written; the old one stays.
    """
    fields = asdict(facts).items()
    content = {"format": FORMAT, **{_KEYS.get(name, name): value for name, value in fields}}
    write_whole(sidecar_path(engine), json.dumps(content, indent=2).encode() + b"\n")


def _parse(content: bytes) -> EngineFacts:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"its sidecar is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise ModelError("its sidecar is not a JSON object")
    if read.pop("format", None) != FORMAT:
        raise ModelError("another version of dggn built it")
    try:
        request = _fields(read.pop(_KEYS["request"]))
        request["targets"] = tuple(request["targets"])
        info = _fields(read.pop("info"))
        verification = read.pop("verification")
        facts = EngineFacts(
            request=_checked(EngineRequest, request),
            info=_checked(ModelInfo, info),
            verification=(
                None if verification is None else _checked(Verification, _fields(verification))
            ),
            **_typed(EngineFacts, read),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"its sidecar is incomplete or misspelled: {error}") from error
    return facts


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "tuple[str, ...]": (tuple,),
}


def _typed(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values if each has its field's type; fields not listed are strings."""
    for name, value in values.items():
        annotation = kind.__annotations__[name]
        expected = _TYPES.get(annotation, (str,))
        wrong_item = isinstance(value, tuple) and any(type(item) is not str for item in value)
        if isinstance(value, bool) or not isinstance(value, expected) or wrong_item:
            raise ModelError(f"{name} is {str(value)[:40]!r}: expected {annotation}")
    return values


def _checked(kind: type, values: dict[str, Any]) -> Any:
    return kind(**_typed(kind, values))


def _fields(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f"found {str(value)[:40]!r}: expected a JSON object")
    return dict(value)
