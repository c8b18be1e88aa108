"""An S3 server on loopback, with the faults of real ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.support.faulty_server import Environ, FaultyServer, Start

BUCKET = "pictures"
KEY_ID = "AKIAEXAMPLE"

WsgiApp = Callable[[Environ, Start], Iterable[bytes]]


class StoreServer(FaultyServer):
    """An S3 server in this process, for the duration of a test.

    Args:
        app: answers what the hook does not.
    """

    def __init__(self, app: WsgiApp) -> None:
        super().__init__()
        self._app = app

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

    def refusal(self, environ: Environ) -> tuple[str, str] | None:
        """Refuse another key; see `FaultyServer`."""
        known = KEY_ID in environ.get("HTTP_AUTHORIZATION", "")
        return None if known else ("403 Forbidden", "InvalidAccessKeyId")

    def answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer; see `FaultyServer`."""
        return self._app(environ, start)


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
