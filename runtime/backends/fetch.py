"""Models by URL, downloaded once into the user's cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from runtime.errors import ConfigError, DownloadError, ModelError
from runtime.model.files import HEAD_BYTES, MAX_MODEL_BYTES, other_kind
from runtime.model.info import file_sha256
from runtime.system.cache import FOLDER_VARIABLE, user_cache
from runtime.system.files import NotReplaced, locked, replacing
from runtime.system.package import installed_version

TIMEOUT_S = 30
"""Seconds without a single byte before a download is abandoned."""

BLOCK_BYTES = 1 << 18

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".pkl", ".safetensors", ".bin", ".param", ".zip")
"""Suffixes of checkpoint files, which are refused whatever they contain."""

Advance = Callable[[int], None]
"""Receives the number of bytes that have just arrived."""

Bar = Callable[[str, int | None], AbstractContextManager[Advance]]
"""Displays a download, given the file's name and its size in bytes (None if unknown)."""


def no_bar(name: str, total_bytes: int | None) -> AbstractContextManager[Advance]:
    """Show no progress."""
    return nullcontext(lambda received: None)


def local_model(model: str, *, say: Callable[[str], None], bar: Bar = no_bar) -> str:
    """Return a model's name or path; a URL becomes the path of its cached file.

    Args:
        model: a name, a path, or a URL: `https://...`, with `#sha256=...` to insist on a content.
        say: receives the file's path and its SHA-256.
        bar: displays the download.

    Raises:
        ConfigError: the URL is not https, or does not name an ONNX model.
        DownloadError: it cannot be downloaded, or not be kept.
        ModelError: the file is not ONNX, or not the requested one.
    """
    if "://" not in model:
        return model
    url, wanted = _parsed(model)
    target = _place(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent / ".lock"):  # several runs fetch it once
            if not target.is_file() or (wanted and file_sha256(target) != wanted):
                found = _fetch(url, target, wanted, bar)
                say(
                    f"downloaded {url} to {target}; "
                    + ("its SHA-256 matches" if wanted else f"to pin it, append #sha256={found}")
                )
    except (OSError, NotReplaced) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DownloadError(
            f"{target} cannot be written ({reason}): make room, or name another folder in the "
            f"environment variable {FOLDER_VARIABLE}"
        ) from error
    return str(target)


def _parsed(model: str) -> tuple[str, str]:
    """Split a URL into its address and the requested SHA-256 (empty if none)."""
    url, _, fragment = model.partition("#")
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" or not parts.hostname:
        raise ConfigError(f"{model}: only URLs that start with https:// are supported")
    suffix = PurePosixPath(parts.path).suffix.lower()
    if suffix in CHECKPOINTS:
        raise ConfigError(
            f"{url} names a {suffix} file, and only ONNX models can be run: download it, turn it "
            "into ONNX with `dggn-export onnx FILE` (extra community), and run that"
        )
    if not fragment:
        return url, ""
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if not match:
        raise ConfigError(f"{model}: expected #sha256= and 64 hexadecimal digits after the URL")
    return url, match[1].lower()


def _place(url: str) -> Path:
    """Return where a URL's file is kept: in a folder of its own, under a readable name."""
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name.removesuffix(".onnx")).lstrip(".")[:80] or "model"
    mark = hashlib.sha256(url.encode()).hexdigest()[:12]
    return user_cache() / "models" / f"{stem}-{mark}.onnx"


def _fetch(url: str, target: Path, wanted: str, bar: Bar) -> str:
    """Download a file; it appears only when complete and verified.

    Returns:
        Its SHA-256.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError

    with replacing(target) as file:
        try:
            with _opened(url) as response:
                digest, head = _receive(response, file, url, bar)
        except HTTPError as error:
            raise DownloadError(
                f"{url} cannot be downloaded: {error.code} {error.reason}"
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, OSError) and getattr(error, "filename", None) is not None:
                raise  # the disk's fault
            reason = getattr(error, "reason", None) or error
            raise DownloadError(
                f"{url} cannot be downloaded ({reason}): try again, or save the file and name it"
            ) from error
        if kind := other_kind(head):
            raise ModelError(f"{url} is {kind}")
        if wanted and digest != wanted:
            raise ModelError(
                f"{url} has the SHA-256 {digest}, and {wanted} was requested: it is not the "
                "file that you trust, and was not kept"
            )
    return digest


def _receive(response: Any, file: IO[bytes], url: str, bar: Bar) -> tuple[str, bytes]:
    """Copy a response into a file.

    Returns:
        Its SHA-256 and its first bytes.
    """
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    digest, received, head = hashlib.sha256(), 0, b""
    with bar(unquote(PurePosixPath(urlsplit(url).path).name), total) as advance:
        while block := response.read(BLOCK_BYTES):
            received += len(block)
            if received > MAX_MODEL_BYTES:
                raise ModelError(f"{url} exceeds the limit of an ONNX file: 2 GB")
            digest.update(block)
            head = (head + block)[:HEAD_BYTES]
            _write(file, block)
            advance(received)
    if not received or (total is not None and received != total):
        raise DownloadError(f"{url} ended after {received:,} of {total or 0:,} bytes: try again")
    return digest.hexdigest(), head


def _write(file: IO[bytes], block: bytes) -> None:
    try:
        file.write(block)
    except OSError as error:
        error.filename = file.name  # tells the disk's errors from the network's
        raise


def _opened(url: str) -> Any:
    """Open a URL, through the environment's proxy if it names one."""
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class HttpsOnly(HTTPRedirectHandler):
        """Redirect handler that never leaves https."""

        def redirect_request(
            self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str
        ) -> Any:
            if urlsplit(newurl).scheme.lower() != "https":
                raise DownloadError(f"{url} leads to {newurl}, which is not https://")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    # Some hosts refuse Python's own name.
    request = Request(url, headers={"User-Agent": f"dggn/{installed_version()}"})
    return build_opener(HttpsOnly).open(request, timeout=TIMEOUT_S)
