from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dggn.model.config import PRESETS, GeneratorConfig, preset
from runtime.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_take_multiples_of_8(name: str) -> None:
    assert preset(name).size_multiple_px == 8


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'dgn': choose one of dggn, dggn-lite"):
        preset("dgn")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 9}, "multiple of se_reduction"),
        ({"width": 0}, "positive multiple"),
        ({"width": 6}, "multiple of 4"),
        ({"se_reduction": 0}, "se_reduction is 0"),
        ({"image_units": 0, "gradient_units": 0}, "at least one image unit"),
        ({"gradient_units": -1}, "no negative count"),
        ({"image_units": 3, "gradient_units": 2}, "spaced evenly"),
        ({"tail_width": 0}, "at least one channel"),
        ({"tail_convs": -1}, "no negative count"),
        ({"se_window_px": 6}, "multiple of 4"),
        ({"se_window_px": 0}, "multiple of 4"),
    ],
)
def test_impossible_structures_are_refused(
    tiny_config: GeneratorConfig, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(tiny_config, **change)
