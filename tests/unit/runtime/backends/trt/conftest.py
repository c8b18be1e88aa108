from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engine_bench import Bench
from tests.support.fake_cuda import FakeDevice
from tests.support.fake_tensorrt import FakeTensorRT


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, FakeTensorRT(), FakeDevice())
