"""One bucket: list, fetch, put, stamp, with errors of ours and bounded waits."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from runtime.errors import StoreError
from runtime.jobs.stamp import SourceStamp
from runtime.stores.trouble import translated
from runtime.stores.url import StoreUrl
from runtime.system.package import load
from runtime.system.path_text import text_bytes

ATTEMPTS = 3
"""To read an object whose connection breaks; the requests themselves are repeated by obstore."""

RETRIES = 10
RETRIES_S = 120
METADATA_KEY = "dggn"
"""Azure wants an identifier here, and S3 lower case."""

_LONGEST_METADATA = 1800
"""S3 keeps 2048 bytes, names included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An object in a listing."""

    size_bytes: int
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultStamp:
    """Provenance stored with a result; empty where another program put it there."""

    settings: str = ""
    sha256: str = ""
    etag: str = ""
    """ETag of its source."""
    source: str = ""

    def as_text(self) -> str:
        """Return it in ASCII, short enough for every store's metadata."""
        fields = {"v": 1, "settings": self.settings, "sha256": self.sha256, "etag": self.etag}
        text = json.dumps({**fields, "source": self.source}, separators=(",", ":"))
        if len(text) > _LONGEST_METADATA:
            text = json.dumps({**fields, "source": shortened(self.source)}, separators=(",", ":"))
        return text

    @classmethod
    def from_text(cls, text: str) -> ResultStamp:
        """Parse it; an invalid one gives an empty stamp."""
        try:
            fields = json.loads(text)
            return cls(
                **{name: str(fields[name]) for name in ("settings", "sha256", "etag", "source")}
            )
        except (ValueError, TypeError, KeyError):
            return cls()


def shortened(source: str) -> str:
    """Return a hash in place of a name that is private or too long."""
    return "#" + hashlib.sha256(text_bytes(source)).hexdigest()[:32]


def plain_etag(found: Mapping[str, Any]) -> str:
    """Return the ETag of what obstore found, without quotes: Azure's listings have none."""
    return (found["e_tag"] or "").replace('"', "")


class ObjectStore:
    """A bucket that obstore opens with credentials from the environment.

    The methods may be called from any thread.

    Args:
        url: a place in it.

    Raises:
        MissingDependency: obstore is not installed.
        StoreError: the environment says too little.
    """

    def __init__(self, url: StoreUrl) -> None:
        self._obstore = load("obstore", extra="cloud")
        self._root = url.root
        # An unencrypted endpoint, such as a server in the same rack, is named on purpose: for S3
        # in these variables, for Google in one or in the account's file, which obstore reads.
        endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
        options: dict[str, Any] = {
            "client_options": {
                "allow_http": url.scheme == "gs" or endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=10),
                "timeout": timedelta(seconds=120),
            },
            "retry_config": {
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRIES_S),
            },
        }
        with translated(str(url)):
            self._store = self._obstore.store.from_url(url.root, **options)

    def list(self, url: StoreUrl) -> dict[str, Found]:
        """List all objects below a place, by key.

        Raises:
            StoreError: see the module.
        """
        prefix = url.key + "/" if url.key else None
        with translated(str(url)):
            return {
                str(found["path"]): Found(size_bytes=found["size"], etag=plain_etag(found))
                for page in self._obstore.list(self._store, prefix=prefix)
                for found in page
            }

    def find(self, url: StoreUrl) -> Found | None:
        """Return one object; None if it does not exist.

        Raises:
            StoreError: see the module.
        """
        with translated(str(url)):
            try:
                found = self._obstore.head(self._store, url.key)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
        return Found(size_bytes=found["size"], etag=plain_etag(found))

    def fetch(self, url: StoreUrl, path: Path) -> SourceStamp:
        """Copy an object into a file.

        Returns:
            What tells this version of it from others.

        Raises:
            FileNotFoundError: the object is gone.
            StoreError: see the module.
            OSError: the file cannot be written.
        """
        for attempt in range(1, ATTEMPTS + 1):
            with translated(str(url)):
                result = self._obstore.get(self._store, url.key)
                digest, size = hashlib.sha256(), 0
                with path.open("wb") as file:
                    try:
                        for chunk in result.stream(min_chunk_size=1 << 20):
                            content = bytes(chunk)
                            file.write(content)
                            digest.update(content)
                            size += len(content)
                    except self._obstore.store.BaseError:
                        if attempt == ATTEMPTS:
                            raise
                        size = -1
            if size == result.meta["size"]:
                return SourceStamp(
                    size_bytes=size,
                    mtime_ns=int(result.meta["last_modified"].timestamp() * 1e9),
                    sha256=digest.hexdigest(),
                    path=str(url),
                    etag=plain_etag(result.meta),
                )
            time.sleep(attempt)
        raise StoreError(f"{url}: the connection broke {ATTEMPTS} times: try again later")

    def put(self, path: Path, url: StoreUrl, stamp: ResultStamp) -> None:
        """Upload a file; the object appears whole and with its stamp, or not at all.

        Raises:
            StoreError: see the module.
            OSError: the file cannot be read.
        """
        kind, _ = mimetypes.guess_type(url.key)
        attributes = {
            "Content-Type": kind or "application/octet-stream",
            METADATA_KEY: stamp.as_text(),
        }
        with translated(str(url)), path.open("rb") as file:
            try:
                self._obstore.put(self._store, url.key, file, attributes=attributes)
            except FileNotFoundError as error:
                raise StoreError(f"{url}: there is no such bucket or container") from error

    def stamp(self, url: StoreUrl) -> ResultStamp | None:
        """Return the stamp of a result; None if it does not exist.

        Raises:
            StoreError: see the module.
        """
        with translated(str(url)):
            try:
                result = self._obstore.get(self._store, url.key, options={"head": True})
            except FileNotFoundError:
                return None
        return ResultStamp.from_text(str(result.attributes.get(METADATA_KEY, "")))
