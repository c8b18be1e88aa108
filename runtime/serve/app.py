"""The web application: its routes."""

from __future__ import annotations

import time
from collections.abc import Collection
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.codecs.formats import HAS_HEIF
from runtime.serve.answer import answering, problem_response
from runtime.serve.guard import Guard
from runtime.serve.metrics import CONTENT_TYPE, Metrics
from runtime.serve.openapi import description
from runtime.serve.parameters import FORMATS, PARAMETERS, read_parameters
from runtime.serve.problems import Problem
from runtime.serve.service import Service
from runtime.system.package import installed_version

_PAGE = {
    "/": ("runtime.serve", "page/index.html", "text/html; charset=utf-8"),
    "/page.css": ("runtime.serve", "page/page.css", "text/css; charset=utf-8"),
    "/slider.css": ("runtime.report", "slider.css", "text/css; charset=utf-8"),
    **{
        f"/{name}.js": ("runtime.serve", f"page/{name}.js", "text/javascript; charset=utf-8")
        for name in ("page", "server", "picture", "parts", "settings", "zip")
    },
}
"""Files of the page by path: package, name in it, and type."""

_OPEN_PATHS = frozenset({*_PAGE, "/healthz", "/readyz", "/openapi.json"})
"""Paths that need no token: they reveal nothing and change nothing."""


def make_app(
    service: Service, *, names: Collection[str], only_loopback: bool, token: str | None
) -> ASGIApp:
    """Return the application.

    Args:
        service: does the work.
        names: that this server is called by, besides addresses.
        only_loopback: whether it is called by addresses of this machine itself only.
        token: that is asked for; None for none.
    """
    routes = [_page_route(path, *source) for path, source in _PAGE.items()]
    routes += [
        Route("/upscale", answering(service.upscale), methods=["POST"]),
        Route("/view", answering(service.view), methods=["POST"]),
        *_facts(service, with_token=token is not None),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_problem})
    # Redirects for trailing slashes would go to the host in the Host header.
    app.router.redirect_slashes = False
    guard = Guard(
        app, names=names, only_loopback=only_loopback, token=token, open_paths=_OPEN_PATHS
    )
    paths = frozenset(route.path for route in routes)
    return _Counted(guard, service.metrics, paths)


def _facts(service: Service, *, with_token: bool) -> list[Route]:
    """Return the routes that only report facts."""
    interface = description(service.limits, with_token=with_token)
    info = service.upscaler.info

    async def openapi(request: Request) -> Response:
        return JSONResponse(interface)

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "running"})

    async def readyz(request: Request) -> Response:
        if not service.is_ready:
            raise Problem(503, "the server is busy or stopping")
        return JSONResponse({"status": "ready"})

    async def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def progress(request: Request) -> Response:
        known = {"id": PARAMETERS["id"]}
        values = read_parameters(request.query_params.multi_items(), known=known)
        if "id" not in values:
            raise Problem(400, "id is missing: give that of a request")
        return JSONResponse(service.progress(values["id"]))

    async def facts(request: Request) -> Response:
        return JSONResponse(
            {
                "version": installed_version(),
                "model": service.upscaler.description,
                "scale": info.scale,
                "overlap": service.upscaler.overlap,
                "size_multiple": info.size_multiple_px,
                "formats": FORMATS,
                "denoise": service.upscaler.denoise,
                "strengths": service.strengths.offered,
                "reads_heic": HAS_HEIF,
                "max_mb": service.limits.max_bytes / 1e6,
                "max_megapixels": service.limits.max_pixels / 1e6,
            }
        )

    return [
        Route("/openapi.json", openapi),
        Route("/healthz", healthz),
        Route("/readyz", answering(readyz)),
        Route("/metrics", metrics),
        Route("/progress", answering(progress)),
        Route("/info", facts),
    ]


def _page_route(path: str, package: str, name: str, media_type: str) -> Route:
    content = files(package).joinpath(name).read_bytes()

    async def respond(request: Request) -> Response:
        return Response(content, headers={"Content-Type": media_type})

    return Route(path, respond)


async def _http_problem(request: Request, error: Exception) -> Response:
    """Return the response to an unknown path or method."""
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this path", 405: "this path takes other methods"}
    response = problem_response(
        Problem(error.status_code, words.get(error.status_code, error.detail))
    )
    response.headers.update(error.headers or {})
    return response


class _Counted:
    """Middleware that counts and times requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, began = 500, time.monotonic()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # Made-up paths would each get a counter of their own.
            path = scope.get("path", "")
            labels = (path if path in self._paths else "other", str(status))
            self._metrics.requests.labels(*labels).inc()
            self._metrics.seconds.labels(*labels).observe(time.monotonic() - began)
