from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.serve_bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A server with small limits."""
    pytest.importorskip("uvicorn", reason="needs the serve extra")
    from tests.support.serve_bench import served

    with served(max_bytes=200_000, max_pixels=40_000, queue=4, timeout_s=60) as bench:
        yield bench
