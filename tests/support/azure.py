"""Azurite, the Azure Blob Storage emulator of npm, on loopback; tests skip where it is missing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.support.processes import started, wait_until

CONTAINER = "pictures"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, which everybody knows."""

VERSION = "2021-08-06"


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[dict[str, str]]:
    """Serve an empty account with one container; yields a user's environment variables.

    Azurite is `azurite-blob` on the path, or what DGGN_AZURITE names.
    """
    program = os.environ.get("DGGN_AZURITE") or shutil.which("azurite-blob")
    if not program:
        pytest.skip("azurite is not installed: npm install -g azurite")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(folder)]
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options]
    with started(command):
        wait_until(lambda: _listens(port))
        url = f"http://127.0.0.1:{port}"
        _make_container(url)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": url,
        }


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _make_container(url: str) -> None:
    """Ask as the protocol wants it: obstore makes no containers."""
    date = formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": VERSION}
    lines = ["PUT", *[""] * 4, "text/plain", *[""] * 6]
    lines += [f"{name}:{value}" for name, value in headers.items()]
    lines += [f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}", "restype:container"]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    signed = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    request = urllib.request.Request(
        f"{url}/{ACCOUNT}/{CONTAINER}?restype=container",
        data=b"",
        method="PUT",
        headers={**headers, "Content-Type": "text/plain", "Authorization": signed},
    )
    urllib.request.urlopen(request, timeout=30).close()
