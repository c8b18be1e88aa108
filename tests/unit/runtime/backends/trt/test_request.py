"""Values that an engine request may have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.errors import ConfigError
from tests.support.engine_facts import REQUEST


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flavor": "auto"}, "flavor is 'auto': expected one of tensorrt, tensorrt-rtx"),
        ({"precision": "fp8"}, "precision is 'fp8': expected one of fp32, fp16, int8"),
        ({"sample_type": "float16"}, "sample_type is 'float16': expected one of float32, uint8"),
        ({"tile_px": 0}, "tile_px is 0: expected 1 to 8192"),
        ({"batch": 10_000}, "batch is 10000: expected 1 to 256"),
        ({"targets": ()}, "there are 0 targets: expected 1 to 16"),
        ({"targets": ("sm86",) * 17}, "there are 17 targets: expected 1 to 16"),
        ({"targets": ("sm86", "86")}, "a target is '86': expected for example sm86"),
        ({"targets": ("sm8.6",)}, "a target is 'sm8.6': expected for example sm86"),
        ({"targets": ("sm12345",)}, "a target is 'sm12345': expected for example sm86"),
    ],
)
def test_what_it_may_not_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(REQUEST, **changes)
    assert str(caught.value) == message


def test_what_it_may_be() -> None:
    wanted = replace(REQUEST, tile_px=8192, batch=256, targets=("sm75", "sm120"))
    assert wanted != REQUEST
