"""Reading any sidecar gives facts, or an error that names the engine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.backends.trt.engine_facts import EngineFacts, Verification
from runtime.backends.trt.engine_file import read_facts, sidecar_path, write_engine, write_facts
from runtime.backends.trt.request import EngineRequest
from runtime.errors import ModelError
from runtime.model.info import ModelInfo

PLAN = b"a plan"
FACTS = EngineFacts(
    onnx_sha256="0" * 64,
    onnx_name="m.onnx",
    plan_sha256=hashlib.sha256(PLAN).hexdigest(),
    plan_bytes=len(PLAN),
    request=EngineRequest(
        flavor="tensorrt-rtx",
        precision="fp16",
        sample_type="uint8",
        tile_px=256,
        batch=4,
        targets=("sm86", "sm120"),
    ),
    precision="fp16",
    tile_px=256,
    batch=4,
    library_version="1.7.1.116",
    gpu_name="Card",
    cuda_version="12.8",
    least_px=8,
    profiles=1,
    info=ModelInfo(
        preset="custom",
        scale=4,
        sample_type="uint8",
        size_multiple_px=8,
        halo_px=16,
        origin="a test",
    ),
    largest_activation=5.5,
    verification=Verification(
        psnr_db=70.0, within_one_level=1.0, largest_difference=1.0, samples=9
    ),
)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["fp16", "uint8", "float32", "tensorrt", "sm86", "0" * 64]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [path, *(place for name in value for place in places(value[name], (*path, name)))]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engines") / "x.engine"
    write_engine(path, PLAN, FACTS)
    return path


def read_or_refuse(engine: Path) -> None:
    try:
        facts = read_facts(engine)
    except ModelError:  # the only error allowed
        return
    # Accepted facts survive a round trip.
    write_facts(engine, facts)
    assert read_facts(engine) == facts


@given(data=st.data(), value=anything)
def test_any_value_in_any_place(engine: Path, data: st.DataObject, value: Any) -> None:
    write_facts(engine, FACTS)
    sidecar = sidecar_path(engine)
    content = json.loads(sidecar.read_bytes())
    path = data.draw(st.sampled_from(places(content)))
    if not path:
        content = value
    else:
        inner = content
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
    sidecar.write_text(json.dumps(content))
    read_or_refuse(engine)


@given(content=st.binary(max_size=200))
def test_any_bytes(engine: Path, content: bytes) -> None:
    sidecar_path(engine).write_bytes(content)
    read_or_refuse(engine)
