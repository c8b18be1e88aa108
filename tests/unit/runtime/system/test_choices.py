from __future__ import annotations

from typing import Literal

import pytest

from runtime.errors import ConfigError
from runtime.system.choices import check_choice

Colour = Literal["red", "green"]


def test_a_known_value_passes() -> None:
    check_choice("green", Colour, what="colour")


@pytest.mark.parametrize("value", ["blue", "Red", "", None, ["red"]])
def test_others_are_named_with_what_is_known(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        check_choice(value, Colour, what="colour")
    assert str(caught.value) == f"colour is {value!r}: expected one of red, green"
