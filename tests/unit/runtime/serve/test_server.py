from __future__ import annotations

import socket

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

from runtime.errors import ConfigError, EnvironmentProblem
from runtime.serve.server import Address, bound_socket

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "pictures.example", ""])
def test_other_machines_are_not_let_in_without_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="DGGN_SERVE_TOKEN"):
        Address(host=host)
    assert not Address(host=host, token=TOKEN).is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_this_machine_needs_none(host: str) -> None:
    assert Address(host=host).is_loopback


@pytest.mark.parametrize(
    "token", ["", "short", "0123456789abcde", "0123456789abcdé€", "x" * 16 + "\n"]
)
def test_weak_tokens_are_refused(token: str) -> None:
    with pytest.raises(ConfigError, match="16 or more"):
        Address(token=token)


def test_the_token_is_not_in_logs() -> None:
    assert TOKEN not in repr(Address(token=TOKEN))


def test_a_port_that_is_taken_is_said() -> None:
    with bound_socket(Address(port=0)) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(EnvironmentProblem, match=f"port {port}: .*--port"):
            bound_socket(Address(port=port))


def test_an_unknown_host_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(EnvironmentProblem, match="Name or service not known"):
        bound_socket(Address(host="nowhere.example", token=TOKEN))
