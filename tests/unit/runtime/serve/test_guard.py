"""Access to the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

from starlette.responses import PlainTextResponse
from starlette.types import Message

from runtime.serve.guard import SECURITY_HEADERS, Guard

TOKEN = "0123456789abcdef"


def status(
    *headers: tuple[str, str],
    method: str = "POST",
    path: str = "/upscale",
    only_loopback: bool = True,
    token: str | None = None,
    names: tuple[str, ...] = ("localhost",),
) -> int:
    guard = Guard(
        PlainTextResponse("in"),
        names=names,
        only_loopback=only_loopback,
        token=token,
        open_paths=("/",),
    )
    sent: list[Message] = []
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": raw}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    found = {name.decode() for name, _ in sent[0]["headers"]}
    assert {name.lower() for name in SECURITY_HEADERS} <= found, "on refusals, too"
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8017", "LOCALHOST.:1", "127.0.0.1:8017", "[::1]:8017", "127.1.2.3"],
)
def test_this_machine_by_its_own_names(host: str) -> None:
    assert status(("Host", host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8017", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("192.0.2.1", "[2001:db8::1]", "", ":8017", "127.0.0.1@evil.example", "[", "2130706433"),
    ],
)
def test_other_names_are_refused(host: str) -> None:
    assert status(("Host", host)) == 403


def test_where_other_machines_are_let_in_any_address_and_chosen_names_are_known() -> None:
    for host in ("192.0.2.1:8017", "[2001:db8::1]", "pictures.example"):
        assert status(("Host", host), only_loopback=False, names=("pictures.example",)) == 200
    assert status(("Host", "evil.example"), only_loopback=False) == 403


def test_one_host_header_is_expected() -> None:
    assert status() == 400
    assert status(("Host", "localhost"), ("Host", "localhost")) == 400


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8017", 200),
        ("https://LOCALHOST:8017", 200),
        ("http://localhost:9000", 403),
        ("http://localhost", 403),
        ("http://evil.example", 403),
        ("http://localhost:8017.evil.example", 403),
        ("http://localhost:8017@evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
        ("file://", 403),
    ],
)
def test_only_its_own_page_may_use_it(origin: str, expected: int) -> None:
    assert status(("Host", "localhost:8017"), ("Origin", origin)) == expected


@pytest.mark.parametrize(
    ("site", "mode", "method", "expected"),
    [
        ("same-origin", "cors", "POST", 200),
        ("none", "navigate", "GET", 200),
        ("cross-site", "no-cors", "GET", 403),
        ("same-site", "no-cors", "GET", 403),
        ("cross-site", "navigate", "GET", 200),
        ("cross-site", "navigate", "POST", 403),
    ],
)
def test_what_other_sites_embed_is_refused_and_links_are_followed(
    site: str, mode: str, method: str, expected: int
) -> None:
    headers = (("Host", "localhost"), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode))
    assert status(*headers, method=method) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}0", 401),
        ("Bearer é", 401),
        ("Bearer", 401),
        ("", 401),
        (None, 401),
    ],
)
def test_the_token_is_asked_for(header: str | None, expected: int) -> None:
    headers = [("Host", "localhost")]
    if header is not None:
        headers.append(("Authorization", header))
    assert status(*headers, token=TOKEN) == expected
    assert status(*headers, token=TOKEN, path="/") == 200
