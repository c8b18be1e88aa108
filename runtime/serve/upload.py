"""Receives uploads into files, within limits."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from runtime.serve.problems import Problem

MULTIPART = "multipart/form-data"
MOST_FIELDS = 20
FIELD_BYTES = 1024
"""Maximum size of a form field that is not a file."""

FORM_BYTES = 64 << 10
"""Maximum size of a form besides the file."""


async def receive(request: Request, target: Path, *, most_bytes: int) -> list[tuple[str, str]]:
    """Write the picture in a request's body to a file.

    Args:
        request: with the picture as its body, or as the one file of a form.
        target: a new file.
        most_bytes: of the picture.

    Returns:
        The form's other fields; none where the body is the picture.

    Raises:
        Problem: there is no picture, or more than one, or it is too large.
        ClientDisconnect: the client went away.
    """
    if _is_form(request):
        fields = await _receive_form(request, target, most_bytes)
    else:
        fields = []
        check_length(request, most_bytes)
        with target.open("xb") as file:
            async for block in _limited(request, most_bytes):
                await _in_thread(file, block)
    if not target.exists() or not target.stat().st_size:
        raise Problem(400, "there is no picture: send one as the body, or as a file of a form")
    return fields


def check_length(request: Request, most_bytes: int) -> None:
    """Refuse a body whose declared length is too large.

    Raises:
        Problem: it is.
    """
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes)


def _is_form(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == MULTIPART


async def _receive_form(request: Request, target: Path, most_bytes: int) -> list[tuple[str, str]]:
    check_length(request, most_bytes + FORM_BYTES)
    stream = _limited(request, most_bytes + FORM_BYTES)
    parser = MultiPartParser(
        request.headers, stream, max_files=1, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, f"the form is damaged, or has too many parts: {error.message}") from None
    except (KeyError, ValueError, UnicodeError) as error:  # of malformed headers
        raise Problem(400, "the form is damaged: send it again") from error
    try:
        fields = []
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                await asyncio.to_thread(_keep, value, target)
            else:
                fields.append((name, value))
    finally:
        await form.close()
    if target.exists() and target.stat().st_size > most_bytes:
        raise _too_large(most_bytes)
    return fields


def _keep(upload: UploadFile, target: Path) -> None:
    with target.open("xb") as file:
        upload.file.seek(0)
        shutil.copyfileobj(upload.file, file)


async def _in_thread(file: IO[bytes], block: bytes) -> None:
    # Small blocks stay in the file's buffer; only those that go to the disk may take long.
    if len(block) < 1 << 13:
        file.write(block)
    else:
        await asyncio.to_thread(file.write, block)


async def _limited(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for block in request.stream():
        received += len(block)
        if received > most_bytes:
            raise _too_large(most_bytes)
        yield block


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        413, f"the file is larger than {most_bytes / 1e6:g} MB, the limit of this server"
    )
