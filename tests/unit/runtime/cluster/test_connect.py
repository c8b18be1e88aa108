from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from runtime.cluster.connect import bounded, check_address, join
from runtime.errors import ConfigError, EnvironmentProblem


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.1:6379", "[::1]:6379"])
def test_addresses(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", "head:", ":6379", "a/b:1"])
def test_no_addresses(address: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, or HOST:PORT"):
        check_address(address)


def test_nobody_there() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and nobody listens
        with pytest.raises(EnvironmentProblem, match="cannot be reached"):
            join(f"127.0.0.1:{reserved.getsockname()[1]}")


def test_waiting_is_bounded() -> None:
    forever = threading.Event()
    with pytest.raises(EnvironmentProblem, match=r"no answer: gave up"):
        bounded(forever.wait, 0.05, "no answer")
    forever.set()
    assert bounded(lambda: 3, 60, "no answer") == 3

    def fail() -> Any:
        raise EnvironmentProblem("its own")

    with pytest.raises(EnvironmentProblem, match="its own"):
        bounded(fail, 60, "no answer")
