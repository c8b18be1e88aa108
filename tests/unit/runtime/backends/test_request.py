from __future__ import annotations

import logging

import pytest

from runtime.backends.request import BackendRequest


@pytest.mark.parametrize(("devices", "gpus"), [(None, [0]), ((2, 1), [2, 1])])
def test_the_first_gpu_by_default(devices: tuple[int, ...] | None, gpus: list[int]) -> None:
    assert list(BackendRequest(devices=devices).gpus) == gpus


def test_messages_go_to_the_log_by_default(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        BackendRequest().say("a message")
    assert caplog.messages == ["a message"]
