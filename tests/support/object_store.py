"""An S3 server on loopback, with the faults of real ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.listener import Listener

BUCKET = "pictures"
KEY_ID = "AKIAEXAMPLE"

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class StoreServer:
    """An S3 server in this process, for the duration of a test.

    Args:
        app: answers what the hook does not.
    """

    listener: Listener

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        self.seen: list[tuple[str, str]] = []
        """Method and path with query of every request."""
        self.hook: Callable[[str, str], tuple[str, str] | None] = lambda method, path: None
        """May answer a request by a status and an S3 error code, or hold it up."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.listener.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for reaching it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def put(self, key: str, content: bytes) -> None:
        """Put an object, like another program."""
        self._bucket().put_object(BUCKET, key, content)

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        value: bytes = self._bucket().get_object(BUCKET, key).value
        return value

    def keys(self, prefix: str) -> set[str]:
        """Return the keys with this prefix, without the prefix."""
        keys = self._bucket().buckets[BUCKET].keys
        return {key[len(prefix) :] for key in keys if key.startswith(prefix)}

    @staticmethod
    def _bucket() -> Any:
        from moto.backends import get_backend

        return get_backend("s3")["123456789012"]["aws"]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        query = environ.get("QUERY_STRING", "")
        self.seen.append((method, f"{path}?{query}" if query else path))
        answer = self.hook(method, path)
        if answer is None and KEY_ID not in environ.get("HTTP_AUTHORIZATION", ""):
            answer = ("403 Forbidden", "InvalidAccessKeyId")
        if answer is None:
            return self._app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = answer
        body = f"<Error><Code>{code}</Code><Message>a test</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


@contextlib.contextmanager
def s3_server(port: int = 0) -> Iterator[StoreServer]:
    """Serve an empty store with one bucket; on a free port, unless one is given."""
    from moto.backends import get_backend
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from tests.support.listener import listening

    server = StoreServer(DomainDispatcherApplication(create_backend_app))
    backend = get_backend("s3")["123456789012"]["aws"]
    backend.create_bucket(BUCKET, "us-east-1")
    try:
        with listening(port, server) as server.listener:
            yield server
    finally:
        backend.reset()
