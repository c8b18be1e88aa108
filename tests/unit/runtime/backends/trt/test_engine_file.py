from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.backends.trt.engine_facts import (
    EngineFacts,
    with_verification,
)
from runtime.backends.trt.engine_file import (
    MAX_SIDECAR_BYTES,
    read_facts,
    sidecar_path,
    write_engine,
    write_facts,
)
from runtime.errors import ModelError, TargetError
from tests.support.engine_facts import FACTS, FOUND, PLAN


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    path = tmp_path / "x.engine"
    write_engine(path, PLAN, FACTS)
    return path


@pytest.mark.parametrize(
    "facts",
    [FACTS, with_verification(FACTS, FOUND), replace(FACTS, largest_activation=None, profiles=4)],
)
def test_what_is_written_comes_back(tmp_path: Path, facts: EngineFacts) -> None:
    write_engine(tmp_path / "y.engine", PLAN, facts)
    assert read_facts(tmp_path / "y.engine") == facts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["y.engine", "y.engine.json"]


def test_verification_is_written_later(engine: Path) -> None:
    assert "unverified" in read_facts(engine).status
    write_facts(engine, with_verification(read_facts(engine), FOUND))
    assert read_facts(engine).verification == FOUND
    assert "75.7 dB" in read_facts(engine).status
    assert engine.read_bytes() == PLAN


def test_parts_that_are_missing(engine: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_facts(engine.with_name("z.engine"))
    sidecar_path(engine).unlink()
    with pytest.raises(ModelError, match=r"no x\.engine\.json beside it.*trt --force"):
        read_facts(engine)


@pytest.mark.parametrize("content", [b"a plaN", b"a longer plan"])
def test_another_plan_under_the_name(engine: Path, content: bytes) -> None:
    engine.write_bytes(content)
    with pytest.raises(ModelError, match="not a usable engine"):
        read_facts(engine)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        b" " * (MAX_SIDECAR_BYTES + 1),
    ],
)
def test_sidecars_that_are_no_json(engine: Path, content: bytes) -> None:
    sidecar_path(engine).write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.engine is not a usable engine"):
        read_facts(engine)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 0),
        (("format",), None),
        (("onnx_sha256",), "../../etc"),
        (("plan_bytes",), -1),
        (("plan_bytes",), 1e300),
        (("plan_bytes",), True),
        (("plan_bytes",), "6"),
        (("precision",), "fp64"),
        (("precision",), None),
        (("tile_px",), 512),
        (("least_px",), 0),
        (("profiles",), 10**9),
        (("library_version",), 10),
        (("gpu_name",), "x" * 1000),
        (("largest_activation",), "much"),
        (("options", "batch"), 0),
        (("options", "targets"), []),
        (("options", "targets"), ["86"]),
        (("options", "targets"), [86]),
        (("options", "targets"), "sm86"),
        (("options", "unknown"), 1),
        (("options",), None),
        (("info", "scale"), 4.5),
        (("info", "scale"), 99),
        (("info", "sample_type"), "float32"),
        (("info",), {}),
        (("verification",), {}),
        (("verification",), 1),
        (("verification",), {**FOUND.__dict__, "psnr_db": float("nan")}),
        (("verification",), {**FOUND.__dict__, "psnr_db": float("inf")}),
        (("unknown",), 1),
    ],
)
def test_sidecars_that_make_no_sense(engine: Path, path: tuple[str, ...], value: Any) -> None:
    sidecar = sidecar_path(engine)
    content = json.loads(sidecar.read_bytes())
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    sidecar.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"x\.engine is not a usable engine.*trt --force"):
        read_facts(engine)


def test_every_field_is_needed(engine: Path) -> None:
    sidecar = sidecar_path(engine)
    content = json.loads(sidecar.read_bytes())
    for name in content:
        rest = {key: value for key, value in content.items() if key != name}
        sidecar.write_text(json.dumps(rest))
        with pytest.raises(ModelError, match="not a usable engine"):
            read_facts(engine)


def test_a_plan_is_never_left_with_anothers_sidecar(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run killed between the two files leaves an engine that is rejected."""
    plan = b"another plan"
    facts = replace(FACTS, plan_sha256=hashlib.sha256(plan).hexdigest(), plan_bytes=len(plan))
    monkeypatch.setattr("runtime.backends.trt.engine_file.write_facts", lambda engine, facts: None)
    write_engine(engine, plan, facts)
    with pytest.raises(ModelError, match="not a usable engine"):
        read_facts(engine)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match="cannot be written"):
        write_engine(tmp_path / "file" / "x.engine", PLAN, FACTS)
