"""The OpenAPI description at `/openapi.json`."""

from __future__ import annotations

from typing import Any

from runtime.serve.answer import MEDIA_TYPES
from runtime.serve.parameters import ID, PARAMETERS
from runtime.serve.service import Limits
from runtime.system.package import installed_version

_BINARY = {"type": "string", "format": "binary"}
_FAULTS = {
    400: "A parameter is invalid, or there is no picture.",
    401: "The token is missing or wrong.",
    403: "The request comes from another site, or calls the server by an unknown name.",
    404: "Not found.",
    408: "The picture did not arrive in time.",
    409: "A request with this id is in progress.",
    413: "The file or the picture is too large.",
    415: "Not a picture, or of an unsupported format.",
    422: "The picture is damaged, or cannot be written as requested.",
    503: "The server is busy or stopping; Retry-After says when to try again.",
    504: "It took too long.",
}


def description(limits: Limits, *, with_token: bool) -> dict[str, Any]:
    """Return the description in OpenAPI 3.1.

    Args:
        limits: of this server.
        with_token: whether it asks for a token.
    """
    upscale = _makes_picture(
        "Upscale a picture",
        "What `dggn-run` keeps of a picture is kept: colours, EXIF, alpha, 16 bits, frames.",
        [_parameter(name) for name in PARAMETERS],
        {media_type: {"schema": _BINARY} for media_type in MEDIA_TYPES.values()},
        faults=(400, 403, 408, 409, 413, 415, 422, 503, 504),
        limits=limits,
    )
    upscale["responses"]["200"]["headers"] = {
        "Dggn-Notes": {
            "description": "What the format could not keep, and the like: a JSON list.",
            "schema": {"type": "string"},
        }
    }
    view = _makes_picture(
        "Show a picture",
        "The first frame or page as PNG in its own size, for browsers that do not know its format.",
        [],
        {"image/png": {"schema": _BINARY}},
        faults=(400, 403, 408, 413, 415, 422, 503, 504),
        limits=limits,
    )
    paths: dict[str, Any] = {
        "/upscale": {"post": upscale},
        "/view": {"post": view},
        "/progress": {"get": _progress()},
        "/info": {"get": _answers("Capabilities and limits of this server", _json())},
        "/metrics": {"get": _answers("Counters for Prometheus", _text())},
    }
    if with_token:
        for path in paths.values():
            for operation in path.values():
                operation["security"] = [{"token": []}]
                operation["responses"]["401"] = _fault(401)
    paths |= {
        "/healthz": {"get": _answers("Whether the server is running", _json())},
        "/readyz": {"get": _answers("Whether requests are accepted now", _json(), 503)},
        "/openapi.json": {"get": _answers("This description", _json())},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "dggn-serve", "version": installed_version()},
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}},
                    "required": ["error"],
                    "additionalProperties": False,
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _makes_picture(
    summary: str,
    words: str,
    parameters: list[dict[str, Any]],
    content: dict[str, Any],
    *,
    faults: tuple[int, ...],
    limits: Limits,
) -> dict[str, Any]:
    fields = {name: PARAMETERS[name].schema for name in (one["name"] for one in parameters)}
    return {
        "summary": summary,
        "description": (
            f"{words} At most {limits.max_bytes / 1e6:g} MB and {limits.max_pixels / 1e6:g} "
            "megapixels."
        ),
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": _BINARY},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"picture": _BINARY, **fields},
                        "required": ["picture"],
                        "additionalProperties": False,
                    }
                },
            },
        },
        "responses": {
            "200": {"description": "The result.", "content": content},
            **{str(status): _fault(status) for status in faults},
        },
    }


def _parameter(name: str) -> dict[str, Any]:
    one = PARAMETERS[name]
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": one.description,
        "schema": one.schema,
    }


def _progress() -> dict[str, Any]:
    shape = {
        "type": "object",
        "properties": {
            "state": {"enum": ["waiting", "working"]},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["state", "share"],
    }
    operation = _answers("Progress of a request", {"application/json": {"schema": shape}}, 400, 404)
    operation["parameters"] = [
        {
            "name": "id",
            "in": "query",
            "required": True,
            "description": "As the request has it.",
            "schema": {"type": "string", "pattern": f"^{ID.pattern}$"},
        }
    ]
    return operation


def _answers(summary: str, content: dict[str, Any], *faults: int) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": "It is so.", "content": content},
            **{str(status): _fault(status) for status in sorted({*faults, 403})},
        },
    }


def _json() -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}}}


def _text() -> dict[str, Any]:
    return {"text/plain": {"schema": {"type": "string"}}}


def _fault(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    fault: dict[str, Any] = {
        "description": _FAULTS[status],
        "content": {"application/json": {"schema": schema}},
    }
    if status == 503:
        fault["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return fault
