"""Fixtures for tests of the builder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.backends.trt.library import Library, library_of

MakeTensorRt = Callable[[str], Any]


@pytest.fixture
def library(age: str, make_tensorrt: MakeTensorRt) -> Library:
    return library_of(make_tensorrt(age), "tensorrt-rtx" if age.startswith("rtx") else "tensorrt")
