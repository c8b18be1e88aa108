from __future__ import annotations

import threading

import pytest

from export.trt.builder.plan import Graph, build_plan
from export.trt.builder.progress import Phases
from runtime.backends.trt.library import Library
from runtime.backends.trt.request import EngineRequest
from runtime.errors import Cancelled

GRAPH = Graph(content=b"graph", least_px=8)
REQUEST = EngineRequest(
    flavor="tensorrt",
    precision="fp16",
    sample_type="uint8",
    tile_px=64,
    batch=4,
    targets=("sm86", "sm120"),
)


def test_progress_and_its_end(library: Library) -> None:
    seen: list[tuple[str, float]] = []
    build_plan(
        library,
        GRAPH,
        REQUEST,
        on_progress=lambda what, share: seen.append((what, share)),
        cancelled=threading.Event(),
    )
    if library.capabilities.progress:
        shares = [share for _, share in seen]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
    else:
        assert not seen


def test_cancelling(library: Library) -> None:
    cancelled = threading.Event()
    library.module.behaviour.on_build = lambda step: cancelled.set()
    with pytest.raises(Cancelled):
        build_plan(
            library, GRAPH, REQUEST, on_progress=lambda what, share: None, cancelled=cancelled
        )


def test_phases_are_one_share() -> None:
    phases = Phases()
    phases.start("whole", None, 2)
    phases.start("part", "whole", 4)
    phases.step("part", 1)
    assert phases.share == pytest.approx(0.25)
    phases.finish("part")
    phases.step("whole", 0)
    assert phases.share == pytest.approx(0.5)
    phases.step("whole", 0)
    phases.step("unknown", 5)
    assert phases.share == pytest.approx(0.5)
