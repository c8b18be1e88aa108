"""A store's server on loopback whose answers a test may replace or hold up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.listener import Listener

Environ = dict[str, Any]
Start = Callable[..., Any]


class FaultyServer(ABC):
    """A WSGI application; derived classes know a store's protocol."""

    listener: Listener

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        """Method and path with query of every request."""
        self.hook: Callable[[str, str], tuple[str, str] | None] = lambda method, path: None
        """May answer a request by a status and an error code, or hold it up."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.listener.port}"

    @abstractmethod
    def refusal(self, environ: Environ) -> tuple[str, str] | None:
        """Return the status and error code for a client without the right credentials."""

    @abstractmethod
    def answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer a request of a client that may."""

    @abstractmethod
    def keys(self, prefix: str) -> set[str]:
        """Return the keys with this prefix, without the prefix."""

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        query = environ.get("QUERY_STRING", "")
        self.seen.append((method, f"{path}?{query}" if query else path))
        error = self.hook(method, path) or self.refusal(environ)
        if error is None:
            return self.answer(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return refused(start, *error)


def refused(start: Start, status: str, code: str) -> Iterable[bytes]:
    """Answer by an error, as S3 and Google Cloud Storage word it."""
    body = f"<Error><Code>{code}</Code><Message>a test</Message></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
