from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from runtime.backends.trt import library
from runtime.backends.trt.library import Capabilities, capabilities_of, find_library, library_of
from runtime.backends.trt.messages import KEPT, Messages
from runtime.errors import MissingDependency

MakeTensorRt = Callable[[str], Any]

NOTHING = {
    "strong_types": False,
    "explicit_batch": False,
    "precision_flags": False,
    "shared_profiles": False,
    "profile_sharing_preview": False,
    "progress": False,
    "compute_capabilities": False,
    "runtime_config": False,
    "optimization_level": False,
    "largest_opset": 19,
}
OLD = NOTHING | {"explicit_batch": True, "precision_flags": True, "largest_opset": 17}
NEW = NOTHING | {
    "strong_types": True,
    "shared_profiles": True,
    "progress": True,
    "optimization_level": True,
}
EXPECTED: dict[str, dict[str, Any]] = {
    "8.5": OLD,
    "8.6": OLD | {"profile_sharing_preview": True, "optimization_level": True},
    "10.7": NEW,
    "11.4": NEW,
    "rtx-1.7": NEW | {"compute_capabilities": True, "runtime_config": True},
}


def test_capabilities_of_every_age(age: str, make_tensorrt: MakeTensorRt) -> None:
    assert capabilities_of(make_tensorrt(age)) == Capabilities(**EXPECTED[age])


def test_the_installed_library_has_the_recorded_capabilities() -> None:
    module = pytest.importorskip("tensorrt_rtx")
    assert capabilities_of(module) == Capabilities(**EXPECTED["rtx-1.7"])
    found = find_library("tensorrt-rtx")
    assert found is find_library("tensorrt-rtx")
    assert found.name == f"TensorRT-RTX {module.__version__}"


def test_a_logger_hands_messages_on(age: str, make_tensorrt: MakeTensorRt) -> None:
    found = library_of(make_tensorrt(age), "tensorrt")
    mark = found.messages.mark()
    found.logger.log(1, " no kernel \n")
    found.logger.log(1, "no kernel")
    found.logger.log(3, "chatter")
    assert found.messages.since(mark) == ["no kernel"]
    assert found.messages.reason(mark) == "no kernel"
    assert found.messages.reason(found.messages.mark()) == "TensorRT gave no reason"


def test_warnings_are_reasons_where_there_are_no_errors() -> None:
    messages = Messages()
    messages.add("warning", "a warning")
    messages.add("info", "a note")
    for number in range(KEPT):
        messages.add("verbose", f"chatter {number}")
    assert messages.reason(0) == "a warning"


def test_old_messages_go_and_threads_do_not_mix_marks() -> None:
    messages = Messages()

    def talk() -> None:
        for number in range(KEPT):
            messages.add("error", str(number))

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mark = messages.mark()
    assert mark == 4 * KEPT
    messages.add("error", "last")
    assert messages.since(mark) == ["last"]
    assert len(messages._kept) == KEPT


@pytest.mark.parametrize(
    ("installed", "choice", "message"),
    [
        ((), "auto", r"pip install 'dggn\[trt\]' for the classic.*'dggn\[rtx\]'"),
        ((), "tensorrt", r"this needs tensorrt, .*'dggn\[trt\]'"),
        (("tensorrt",), "tensorrt-rtx", r"this needs tensorrt_rtx, .*'dggn\[rtx\]'"),
    ],
)
def test_missing_ones_are_named_with_their_extra(
    monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], choice: Any, message: str
) -> None:
    monkeypatch.setattr(library, "installed_flavors", lambda: installed)
    with pytest.raises(MissingDependency, match=message):
        find_library(choice)


def test_auto_prefers_the_classic_one(
    monkeypatch: pytest.MonkeyPatch, make_tensorrt: MakeTensorRt
) -> None:
    asked: list[str] = []

    def load(name: str) -> Any:
        asked.append(name)
        return make_tensorrt("10.7")

    library._load.cache_clear()
    monkeypatch.setattr(library, "installed_flavors", lambda: ("tensorrt", "tensorrt-rtx"))
    monkeypatch.setattr(library, "import_module", load)
    assert find_library().name == "TensorRT 10.7.0"
    assert asked == ["tensorrt"]
    library._load.cache_clear()


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [("libnvinfer.so.8", "reinstall it"), ("libcudnn.so.8", "pip install 'nvidia-cudnn-cu11<9'")],
)
def test_the_remedy_suits_what_does_not_load(
    monkeypatch: pytest.MonkeyPatch, missing: str, remedy: str
) -> None:
    def load(name: str) -> Any:
        raise ImportError(f"{missing}: cannot open shared object file")

    library._load.cache_clear()
    monkeypatch.setattr(library, "installed_flavors", lambda: ("tensorrt",))
    monkeypatch.setattr(library, "import_module", load)
    with pytest.raises(MissingDependency, match=remedy):
        find_library()


def test_one_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise ImportError("libnvinfer.so.8: cannot open shared object file")

    library._load.cache_clear()
    monkeypatch.setattr(library, "installed_flavors", lambda: ("tensorrt",))
    monkeypatch.setattr(library, "import_module", load)
    with pytest.raises(MissingDependency, match=r"cannot be loaded \(libnvinfer\.so\.8: cannot"):
        find_library()
    library._load.cache_clear()
