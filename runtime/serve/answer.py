"""Responses: a picture, or JSON that explains why there is none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from runtime.serve.parameters import PARAMETERS
from runtime.serve.problems import Problem, problem_of
from runtime.serve.work import UPLOAD, Result

GONE = 499
"""Status, in the metrics, of requests whose client disconnected; nobody receives it."""

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
"""Media types of results, by file suffix."""


class Held:
    """The resources of a request, held until its response is sent and its thread has ended.

    Used in the event loop only.

    Args:
        stack: what gives it back.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._holders = 1

    def hold(self) -> None:
        """Add a holder."""
        self._holders += 1

    def release(self) -> None:
        """Remove a holder."""
        self._holders -= 1
        if not self._holders:
            self._stack.close()


class Answer(FileResponse):
    """A result, whose file is deleted once it is sent or cannot be.

    Args:
        result: the file.
        held: released at the end.
        deadline: of the event loop's clock; a client that takes longer loses its connection.
    """

    def __init__(self, result: Result, held: Held, *, deadline: float) -> None:
        suffix = result.path.suffix
        super().__init__(
            result.path,
            media_type=MEDIA_TYPES[suffix],
            filename="upscaled" + suffix,
            headers={"Dggn-Notes": json.dumps(result.notes)} if result.notes else None,
        )
        self._held = held
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        left = self._deadline - asyncio.get_running_loop().time()
        # Results are made once and sent whole: range requests are not supported.
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"range"]}
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(super().__call__(scope, receive, send), max(1.0, left))
        finally:
            self._held.release()


def problem_response(problem: Problem) -> Response:
    """Return a problem as JSON."""
    return JSONResponse({"error": str(problem)}, problem.status, problem.headers)


def answering(
    respond: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that every failure becomes a response."""

    async def endpoint(request: Request) -> Response:
        try:
            return await respond(request)
        except ClientDisconnect:
            return Response(status_code=GONE)
        except Exception as error:  # noqa: BLE001 - logged where it is no fault of the request
            return problem_response(problem_of(error, name=UPLOAD, parameters=PARAMETERS))

    return endpoint
