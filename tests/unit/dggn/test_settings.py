from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dggn.settings import from_mapping, to_mapping
from runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    ratio: float = 0.5
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    sizes: tuple[int, int] = (1, 2)
    limit: float | None = None
    enabled: bool = True
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigError(f"count is {self.count}: it must not be negative")


def test_defaults_and_nesting() -> None:
    values = {"count": 3, "sizes": [4, 5], "inner": {"ratio": 1, "names": ["a", "b"]}}
    expected = Outer(count=3, sizes=(4, 5), inner=Inner(ratio=1.0, names=("a", "b")))
    assert from_mapping(Outer, values, where="here") == expected


def test_whole_numbers_become_floats_only_where_floats_are_asked_for() -> None:
    assert type(from_mapping(Inner, {"ratio": 2}, where="here").ratio) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cuont": 3}, r"^here: unknown setting 'cuont': did you mean 'count'\?$"),
        ({"count": 3, "zzz": 1}, "unknown setting 'zzz': known are count, sizes"),
        ({"count": 3, 5: 1}, "unknown setting 5"),
        ({}, "^here: missing setting count$"),
        ({"count": "3"}, "^here: count is '3': expected a whole number$"),
        ({"count": 3.0}, "count is 3.0: expected a whole number"),
        ({"count": True}, "count is True: expected a whole number"),
        ({"count": None}, "count is None: expected a whole number"),
        ({"count": 3, "enabled": 1}, "enabled is 1: expected true or false"),
        ({"count": 3, "limit": "x"}, "limit is 'x': expected a finite number"),
        ({"count": 3, "limit": float("nan")}, "limit is nan: expected a finite number"),
        ({"count": 3, "limit": float("-inf")}, "limit is -inf: expected a finite number"),
        ({"count": 3, "limit": 10**400}, r"limit is 10+\.\.\.: expected a finite number"),
        ({"count": 3, "sizes": 4}, "sizes is 4: expected a list"),
        ({"count": 3, "sizes": "45"}, "sizes is '45': expected a list"),
        ({"count": 3, "sizes": [1, 2, 3]}, "expected 2 values"),
        ({"count": 3, "sizes": [1, "2"]}, "sizes is '2': expected a whole number"),
        ({"count": 3, "inner": 4}, "^here: inner is 4: expected a table of settings$"),
        ({"count": 3, "inner": {"raito": 1}}, "^here: inner: unknown setting 'raito': did you"),
        ({"count": 3, "inner": {"names": [1]}}, "^here: inner: names is 1: expected text$"),
        ({"count": -1}, "^here: count is -1: it must not be negative$"),
        ([("count", 3)], "expected a table of settings"),
    ],
)
def test_mistakes_are_named(values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(Outer, values, where="here")


_numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    settings=st.builds(
        Outer,
        count=st.integers(min_value=0),
        sizes=st.tuples(st.integers(), st.integers()),
        limit=st.none() | _numbers,
        enabled=st.booleans(),
        inner=st.builds(Inner, ratio=_numbers, names=st.lists(st.text()).map(tuple)),
    )
)
def test_round_trip_through_json(settings: Outer) -> None:
    text = json.dumps(to_mapping(settings))
    assert from_mapping(Outer, json.loads(text), where="here") == settings


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["count", "inner", "ratio", "names"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    values=st.dictionaries(st.sampled_from(["count", "sizes", "limit", "enabled", "inner"]), _json)
)
def test_nothing_but_settings_or_a_configuration_error(values: dict[str, Any]) -> None:
    try:
        settings = from_mapping(Outer, values, where="here")
    except ConfigError:
        return
    assert isinstance(settings, Outer)
