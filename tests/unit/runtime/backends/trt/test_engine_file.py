from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.backends.gpu import Gpu
from runtime.backends.trt.engine_cache import cache_folder, engine_path
from runtime.backends.trt.engine_facts import (
    Circumstances,
    EngineFacts,
    EngineOptions,
    Verification,
    verified,
    why_not,
)
from runtime.backends.trt.engine_file import (
    MAX_SIDECAR_BYTES,
    read_facts,
    sidecar_path,
    write_engine,
    write_facts,
)
from runtime.errors import ModelError, TargetError
from runtime.model.info import ModelInfo

PLAN = b"a plan"
MODEL = hashlib.sha256(b"a model").hexdigest()
INFO = ModelInfo(
    preset="dggn-lite",
    scale=4,
    sample_type="uint8",
    size_multiple_px=8,
    halo_px=16,
    origin="a test",
)
OPTIONS = EngineOptions(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=256,
    batch=4,
    targets=("sm86",),
)
GPU = Gpu(
    index=0, name="Card", compute_capability=(8, 6), memory_bytes=1 << 30, cuda_version="12.8"
)
FACTS = EngineFacts(
    onnx_sha256=MODEL,
    onnx_name="dggn-lite.onnx",
    plan_sha256=hashlib.sha256(PLAN).hexdigest(),
    plan_bytes=len(PLAN),
    options=OPTIONS,
    precision="fp16",
    tile_px=256,
    batch=4,
    library_version="10.7.0",
    gpu_name="Card",
    cuda_version="12.8",
    least_px=8,
    profiles=1,
    info=INFO,
    largest_activation=5.5,
    verification=None,
)
HERE = Circumstances(onnx_sha256=MODEL, library_version="10.7.0", gpu=GPU)
FOUND = Verification(psnr_db=75.7, within_one_level=0.9999, largest_difference=1.0, samples=100)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    path = tmp_path / "x.engine"
    write_engine(path, PLAN, FACTS)
    return path


@pytest.mark.parametrize(
    "facts", [FACTS, verified(FACTS, FOUND), replace(FACTS, largest_activation=None, profiles=4)]
)
def test_what_is_written_comes_back(tmp_path: Path, facts: EngineFacts) -> None:
    write_engine(tmp_path / "y.engine", PLAN, facts)
    assert read_facts(tmp_path / "y.engine") == facts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["y.engine", "y.engine.json"]


def test_verification_is_written_later(engine: Path) -> None:
    assert "unverified" in read_facts(engine).status
    write_facts(engine, verified(read_facts(engine), FOUND))
    assert read_facts(engine).verification == FOUND
    assert "75.7 dB" in read_facts(engine).status
    assert engine.read_bytes() == PLAN


@pytest.mark.parametrize(
    ("options", "here", "reason"),
    [
        ({}, {}, None),
        ({}, {"onnx_sha256": "0" * 64}, "another version of the model (dggn-lite.onnx)"),
        ({"precision": "fp32"}, {}, "built for precision fp16, not fp32"),
        ({"tile_px": 128}, {}, "built for tile_px 256, not 128"),
        ({"batch": 1}, {}, "built for batch 4, not 1"),
        ({"sample_type": "float32"}, {}, "built for sample_type uint8, not float32"),
        ({"flavor": "tensorrt-rtx"}, {}, "built for flavor tensorrt, not tensorrt-rtx"),
        ({"targets": ("sm89",)}, {}, "built for sm86, not for sm89"),
        ({}, {"library_version": "10.8.0"}, "built with tensorrt 10.7.0, and 10.8.0 is installed"),
        ({}, {"gpu": replace(GPU, name="Other")}, "built on Card, and this is Other"),
        (
            {},
            {"gpu": replace(GPU, compute_capability=(8, 9))},
            "built for sm86, and this GPU is sm89",
        ),
        ({}, {"gpu": None}, None),
    ],
)
def test_why_an_engine_must_not_be_loaded(
    options: dict[str, Any], here: dict[str, Any], reason: str | None
) -> None:
    found = why_not(FACTS, replace(OPTIONS, **options), replace(HERE, **here))
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert reason in found


def test_an_rtx_engine_runs_on_each_of_its_targets() -> None:
    options = replace(OPTIONS, flavor="tensorrt-rtx", targets=("sm86", "sm89"))
    facts = replace(FACTS, options=options, gpu_name="", cuda_version="")
    wanted = replace(options, targets=("sm86",))
    assert why_not(facts, wanted, HERE) is None
    other = replace(HERE, gpu=replace(GPU, compute_capability=(12, 0)))
    assert why_not(facts, replace(options, targets=("sm120",)), other) is not None


def test_parts_that_are_missing(engine: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_facts(engine.with_name("z.engine"))
    sidecar_path(engine).unlink()
    with pytest.raises(ModelError, match=r"no x\.engine\.json beside it.*trt --force"):
        read_facts(engine)


@pytest.mark.parametrize("content", [b"a plaN", b"a longer plan"])
def test_another_plan_under_the_name(engine: Path, content: bytes) -> None:
    engine.write_bytes(content)
    with pytest.raises(ModelError, match="no usable engine"):
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
    with pytest.raises(ModelError, match=r"x\.engine is no usable engine"):
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
    with pytest.raises(ModelError, match=r"x\.engine is no usable engine.*trt --force"):
        read_facts(engine)


def test_every_field_is_needed(engine: Path) -> None:
    sidecar = sidecar_path(engine)
    content = json.loads(sidecar.read_bytes())
    for name in content:
        rest = {key: value for key, value in content.items() if key != name}
        sidecar.write_text(json.dumps(rest))
        with pytest.raises(ModelError, match="no usable engine"):
            read_facts(engine)


def test_a_plan_is_never_left_with_anothers_sidecar(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that dies between the two files leaves an engine that is refused."""
    plan = b"another plan"
    facts = replace(FACTS, plan_sha256=hashlib.sha256(plan).hexdigest(), plan_bytes=len(plan))
    monkeypatch.setattr("runtime.backends.trt.engine_file.write_facts", lambda engine, facts: None)
    write_engine(engine, plan, facts)
    with pytest.raises(ModelError, match="no usable engine"):
        read_facts(engine)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match="cannot be written"):
        write_engine(tmp_path / "file" / "x.engine", PLAN, FACTS)


@pytest.mark.skipif(os.name == "nt", reason="Windows has another place")
def test_where_engines_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "engines"
    monkeypatch.delenv("DGGN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "dggn" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dggn" / "engines"


def test_names_tell_engines_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DGGN_CACHE", str(tmp_path))
    paths = [
        engine_path("../a model", MODEL, OPTIONS, GPU),
        engine_path("../a model", "0" * 64, OPTIONS, GPU),
        engine_path("../a model", MODEL, replace(OPTIONS, batch=1), GPU),
        engine_path("../a model", MODEL, OPTIONS, replace(GPU, name="Other")),
        engine_path("../a model", MODEL, replace(OPTIONS, flavor="tensorrt-rtx"), GPU),
    ]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {tmp_path / "engines"}
    # A driver's update or the card's number do not make it another engine.
    moved = replace(GPU, index=1, cuda_version="13.0")
    assert engine_path("../a model", MODEL, OPTIONS, moved) == paths[0]
    rtx = replace(OPTIONS, flavor="tensorrt-rtx")
    assert engine_path("../a model", MODEL, rtx, None) == paths[4]
