"""Access control, applied to every request first."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.serve.answer import problem_response
from runtime.serve.problems import Problem

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every response."""


class Guard:
    """Middleware that rejects cross-site requests and requests without the token.

    Args:
        app: what it guards.
        names: that the `Host` header may have besides addresses: a web page elsewhere can have
            its own name lead to this machine, but cannot have it called by an address.
        only_loopback: whether of addresses only those of this machine itself may be in it.
        token: that requests must bear; None for none.
        open_paths: that need no token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: Collection[str],
        only_loopback: bool,
        token: str | None,
        open_paths: Collection[str],
    ) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._only_loopback = only_loopback
        self._token = None if token is None else token.encode()
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        if scope["type"] != "http":
            return  # nothing here speaks WebSocket; the server answers 403
        problem = self._problem(scope["method"], scope["path"], Headers(scope=scope))
        app = self._app if problem is None else problem_response(problem)
        await app(scope, receive, send_safely)

    def _problem(self, method: str, path: str, headers: Headers) -> Problem | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return Problem(400, "expected one Host header")
        if not self._knows(hosts[0]):
            return Problem(
                403,
                "the name in the Host header is not this server's: use its address, or "
                "start it with --allow-host NAME",
            )
        if not _is_same_site(method, hosts[0], headers):
            return Problem(403, "pages of other sites may not use this server")
        if self._token is not None and path not in self._open_paths and not self._bears(headers):
            return Problem(401, "the token is missing or wrong: send Authorization: Bearer TOKEN")
        return None

    def _knows(self, host: str) -> bool:
        name = _name_of(host)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._only_loopback

    def _bears(self, headers: Headers) -> bool:
        assert self._token is not None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Headers are Latin-1 to Starlette, whatever bytes they are.
        is_right = secrets.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        return is_right and scheme.lower() == "bearer"


def _is_same_site(method: str, host: str, headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != host.lower():
        return False
    # Browsers say where a request comes from even where it has no origin, as of an <img>.
    site = headers.get("sec-fetch-site", "none")
    follows_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return site in ("same-origin", "none") or follows_link


def _netloc(origin: str) -> str:
    """Return an origin's host and port, in lower case; empty if it has none, as in `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """Return a `Host` header without its port and the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")
