"""A WSGI server on loopback that knows which of its connections are still open."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from werkzeug.serving import ThreadedWSGIServer

from tests.support.processes import wait_until


class Listener(ThreadedWSGIServer):
    """Answers each connection in a thread of its own, until its client closes it."""

    def __init__(self, port: int, app: Any) -> None:
        self._open: set[tuple[str, int]] = set()
        super().__init__("127.0.0.1", port, app)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, before its thread begins."""
        self._open.add(client_address)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer its requests, and forget it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(client_address)

    def wait_for_dead_clients(self) -> None:
        """Wait until all requests that were sent so far have ended; nobody may be connected.

        What a killed client has sent is read all the same: it may lie unread in the connection,
        or in one that is not accepted yet. Connections are accepted in turn, so one of our own,
        once accepted, comes after all of theirs.
        """
        with socket.create_connection(("127.0.0.1", self.port)) as probe:
            address = probe.getsockname()
            wait_until(lambda: self._open == {address})


@contextlib.contextmanager
def listening(port: int, app: Any) -> Iterator[Listener]:
    """Serve during the block; on a free port if that is 0."""
    listener = Listener(port, app)
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
