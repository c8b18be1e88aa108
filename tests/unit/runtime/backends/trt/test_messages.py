from __future__ import annotations

import enum
from types import SimpleNamespace

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
