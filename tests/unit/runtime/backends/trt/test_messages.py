from __future__ import annotations

import enum
from types import SimpleNamespace

import pytest

from runtime.backends.trt.messages import KEPT, Messages, make_logger


def test_errors_after_a_mark_are_the_reason() -> None:
    messages = Messages()
    messages.add("error", "of an earlier build")
    mark = messages.mark()
    assert messages.reason(mark) == "TensorRT gave no reason"
    messages.add("warning", "careful")
    assert messages.reason(mark) == "careful"
    messages.add("error", " no memory\n")
    messages.add("error", "no memory")
    messages.add("internal error", "assertion failed")
    assert messages.since(mark) == ["no memory", "assertion failed"]
    assert messages.reason(mark) == "no memory; assertion failed"
    assert messages.since(mark, "warning") == ["careful"]


def test_talk_does_not_push_reasons_out() -> None:
    messages = Messages()
    messages.add("error", "the reason")
    for number in range(10 * KEPT):
        messages.add("verbose", f"tactic {number}")
        messages.add("info", f"layer {number}")
    assert messages.reason(0) == "the reason"


def test_the_oldest_are_forgotten() -> None:
    messages = Messages()
    for number in range(KEPT + 1):
        messages.add("error", str(number))
    found = messages.since(0)
    assert (len(found), found[0], found[-1]) == (KEPT, "1", str(KEPT))


def test_the_logger_knows_tensorrts_numbers() -> None:
    severity = enum.IntEnum("severity", {"INTERNAL": 0, "ERROR": 1, "WARNING": 2, "NEW": 9})
    messages = Messages()
    logger = make_logger(SimpleNamespace(ILogger=object), messages)
    for one in severity:
        logger.log(one, one.name)
    assert messages.since(0, "internal error", "error", "warning") == [
        *("INTERNAL", "ERROR", "WARNING"),
    ]


@pytest.mark.parametrize(
    "said",
    [
        "1: [defaultAllocator.cpp] Cuda Runtime (out of memory)",
        "OutOfMemory (no further information)",
        "Skipping tactic 0 due to insufficient memory on requested size of 9663676416",
        "Requested amount of GPU memory could not be allocated: std::bad_alloc",
        "CUDA_ERROR_OUT_OF_MEMORY",
        "cudaErrorMemoryAllocation",
    ],
)
def test_want_of_memory_is_recognised(said: str) -> None:
    messages = Messages()
    messages.add("error", "CUDA ran out of memory before")
    mark = messages.mark()
    assert not messages.ran_out_of_memory(mark)
    # The error that follows does not say why.
    messages.add("warning", said)
    messages.add("error", "Could not find any implementation for node conv")
    assert messages.ran_out_of_memory(mark)


def test_skipped_tactics_are_no_want_of_memory() -> None:
    """TensorRT logs this for small scratch memory on any GPU, and chooses another tactic."""
    messages = Messages()
    messages.add(
        "warning",
        "Skipping tactic 4 due to insufficient memory on requested size of 66048 detected for "
        "tactic 0x0000000000000004.",
    )
    messages.add("error", "Could not find any implementation for node conv")
    assert not messages.ran_out_of_memory(0)
