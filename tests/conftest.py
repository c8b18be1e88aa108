"""Configuration of all tests: skips by hardware, deterministic examples, working signals."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does, and so must no test; and the
# examples are the same each time, so that nobody's change fails by those that chance found for it.
# New ones are looked for with `pytest tests/property --hypothesis-profile search`.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dggn", settings.get_profile("search"), derandomize=True)
settings.load_profile("dggn")

# Who starts pytest in the background of a script has it ignore Ctrl-C, and with it every command
# that a test starts to interrupt it.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# Tests that import ONNX Runtime before any of ours use no network either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

SHARED_DATA = Path(os.environ.get("DGGN_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests compile apart from the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGGN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data that is not part of the repository, and may be missing."""
    return SHARED_DATA


@pytest.fixture(scope="session")
def benchmark_folder() -> Path:
    """Set5 and Set14, which are not part of the repository; see CONTRIBUTING.md."""
    folder = SHARED_DATA / "benchmark"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine: DGGN_DATA can name another data folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of hardware or libraries that this machine lacks."""
    no_gpu = shutil.which("nvidia-smi") is None
    libraries = ("tensorrt", "tensorrt_rtx")
    no_tensorrt = no_gpu or not any(find_spec(name) for name in libraries)
    for item in items:
        if no_gpu and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU here"))
        if no_tensorrt and item.get_closest_marker("tensorrt"):
            item.add_marker(pytest.mark.skip(reason="no GPU with TensorRT here"))


@pytest.fixture(autouse=True)
def _signal_handlers() -> Iterator[None]:
    """Restore signal handlers that a test's commands leave behind."""
    numbers = [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
