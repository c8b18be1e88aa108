"""Versions of TensorRT's API, for all tests that use one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.tensorrt_ages import AGES, fake_tensorrt


@pytest.fixture(params=AGES)
def age(request: pytest.FixtureRequest) -> str:
    """Every version of the API in turn."""
    return str(request.param)


@pytest.fixture
def make_tensorrt() -> Callable[[str], Any]:
    """Makes a fake module of a version."""
    return fake_tensorrt
