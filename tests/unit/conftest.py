"""The ages of TensorRT's API, for every test that meets one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.tensorrt_ages import AGES, fake_tensorrt


@pytest.fixture(params=AGES)
def age(request: pytest.FixtureRequest) -> str:
    """Every age of the API in turn."""
    return str(request.param)


@pytest.fixture
def make_tensorrt() -> Callable[[str], Any]:
    """Makes a fake module of an age."""
    return fake_tensorrt
