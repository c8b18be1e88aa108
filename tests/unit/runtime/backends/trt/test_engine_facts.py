"""Engines that may be loaded on a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.backends.trt.engine_facts import Circumstances, reason_not_to_load
from tests.support.engine_facts import FACTS, GPU, MODEL, REQUEST

HERE = Circumstances(onnx_sha256=MODEL, library_version="10.7.0", gpu=GPU)


@pytest.mark.parametrize(
    ("changes", "here", "reason"),
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
    changes: dict[str, Any], here: dict[str, Any], reason: str | None
) -> None:
    found = reason_not_to_load(FACTS, replace(REQUEST, **changes), replace(HERE, **here))
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert reason in found


def test_an_rtx_engine_runs_on_each_of_its_targets() -> None:
    request = replace(REQUEST, flavor="tensorrt-rtx", targets=("sm86", "sm89"))
    facts = replace(FACTS, request=request, gpu_name="", cuda_version="")
    wanted = replace(request, targets=("sm86",))
    assert reason_not_to_load(facts, wanted, HERE) is None
    other = replace(HERE, gpu=replace(GPU, compute_capability=(12, 0)))
    assert reason_not_to_load(facts, replace(request, targets=("sm120",)), other) is not None
