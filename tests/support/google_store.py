"""A server on loopback for the part of Google Cloud Storage's XML API that obstore uses.

Of the emulators on PyPI, gcp-storage-emulator has neither its listings nor its uploads in parts,
and fake-gcs-server none of its uploads. What is not known here is answered by 501, so that nothing
that obstore asks for is passed over.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from tests.support.faulty_server import Environ, FaultyServer, Start, refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET = "pictures"
EMAIL = "upscaler@example.iam.gserviceaccount.com"
TOKEN = "ya29.of-the-machine"
PAGE = 4
"""Objects in a page of a listing; Google's has 1000."""

LEAST_PART_BYTES = 5 << 20
"""Size of every part of an upload but the last, at least."""

_KNOWN_HEADERS = re.compile(r"x-goog-meta-\w+")
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_XMLNS = 'xmlns="http://doc.s3.amazonaws.com/2006-03-01"'
_NOT_IMPLEMENTED = ("501 Not Implemented", "NotImplemented")


@dataclass(frozen=True)
class Object:
    """A version of an object."""

    content: bytes
    etag: str
    headers: dict[str, str]
    generation: int
    modified_s: float = field(default_factory=time.time)


@dataclass
class Upload:
    """An upload in parts, under way."""

    key: str
    headers: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class GoogleStore(FaultyServer):
    """A bucket, and the machine's metadata server, which hands out tokens for it."""

    def __init__(self) -> None:
        super().__init__()
        self._objects: dict[str, Object] = {}
        self._uploads: dict[str, Upload] = {}
        self._written = 0
        self._lock = threading.Lock()
        self.needs_token = True
        """Whether it asks for a token; emulators ask for none."""
        self._signers: list[rsa.RSAPublicKey] = []

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a machine of Google that has an account."""
        host = self.url.removeprefix("http://")
        return {"GOOGLE_BASE_URL": self.url, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}

    def key_file(self, path: Path, *, is_known: bool = True) -> Path:
        """Write a service account's file, as Google's console makes it."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(65537, 2048)
        if is_known:
            self._signers.append(key.public_key())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {"type": "service_account", "client_email": EMAIL, "private_key_id": "1"}
        path.write_text(json.dumps({**account, "private_key": pem.decode()}))
        return path

    def emulator_file(self, path: Path) -> Path:
        """Write one in the form for emulators: it names the store, and asks for no token."""
        account = {"gcs_base_url": self.url, "disable_oauth": True}
        empty = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        path.write_text(json.dumps({**account, **empty}))
        return path

    def put(self, key: str, content: bytes) -> None:
        """Put an object, like another program."""
        self._keep(key, content, hashlib.md5(content).hexdigest(), {})

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        return self._objects[key].content

    def stamp(self, key: str) -> dict[str, str]:
        """Return what `dggn-run` has stored with an object."""
        stamp: dict[str, str] = json.loads(self._objects[key].headers["x-goog-meta-dggn"])
        return stamp

    def etag(self, key: str) -> str:
        """Return an object's ETag, without quotes."""
        return self._objects[key].etag

    def keys(self, prefix: str) -> set[str]:
        """Return the keys with this prefix, without the prefix."""
        with self._lock:
            return {key[len(prefix) :] for key in self._objects if key.startswith(prefix)}

    def _keep(self, key: str, content: bytes, etag: str, headers: dict[str, str]) -> Object:
        with self._lock:
            self._written += 1
            self._objects[key] = Object(content, etag, headers, 1_700_000_000 + self._written)
            return self._objects[key]

    def refusal(self, environ: Environ) -> tuple[str, str] | None:
        """Return a refusal where the token is missing; see `FaultyServer`."""
        if environ["PATH_INFO"] == _TOKEN_PATH or not self.needs_token:
            return None
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        known = token == TOKEN or any(_is_signed(token, signer) for signer in self._signers)
        return None if known else ("401 Unauthorized", "AuthenticationRequired")

    def answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer; see `FaultyServer`."""
        path = environ["PATH_INFO"].encode("latin-1").decode()
        if path == _TOKEN_PATH and environ.get("HTTP_METADATA_FLAVOR") == "Google":
            token = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
            return _answered(
                start, json.dumps(token).encode(), {"Content-Type": "application/json"}
            )
        bucket, _, key = path.lstrip("/").partition("/")
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        strange = [
            name
            for name in headers
            if (name.startswith(("x-goog-", "if-")) or name == "range")
            and not _KNOWN_HEADERS.fullmatch(name)
        ]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        content = environ["wsgi.input"].read(length)
        if strange:
            return refused(start, *_NOT_IMPLEMENTED)
        if bucket != BUCKET:
            return refused(start, "404 Not Found", "NoSuchBucket")
        if len(content) < length:
            return refused(start, "400 Bad Request", "IncompleteBody")
        kept = {name: value for name, value in headers.items() if name.startswith("x-goog-meta-")}
        kept["Content-Type"] = environ.get("CONTENT_TYPE", "")
        match environ["REQUEST_METHOD"], key, sorted(query):
            case "GET", "", _ if query.get("list-type") == "2":
                return self._list(start, query)
            case "GET" | "HEAD", _, [] if key:
                return self._read(start, key)
            case "PUT", _, [] if key:
                etag = hashlib.md5(content).hexdigest()
                made = self._keep(key, content, etag, kept)
                return _answered(start, b"", _facts(made))
            case "POST", _, ["uploads"] if key:
                return self._begin(start, key, kept)
            case "PUT", _, ["partNumber", "uploadId"] if key:
                return self._part(start, query, content)
            case "POST", _, ["uploadId"] if key:
                return self._complete(start, query["uploadId"], content)
            case "DELETE", _, ["uploadId"] if key:
                self._uploads.pop(query["uploadId"], None)
                return _answered(start, b"", {}, status="204 No Content")
        return refused(start, *_NOT_IMPLEMENTED)

    def _list(self, start: Start, query: dict[str, str]) -> Iterable[bytes]:
        if set(query) - {"list-type", "prefix", "continuation-token"}:
            return refused(start, *_NOT_IMPLEMENTED)
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        with self._lock:
            objects = dict(self._objects)
        keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
        page, more = keys[:PAGE], len(keys) > PAGE
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Generation>{one.generation}</Generation>"
            f"<MetaGeneration>1</MetaGeneration><LastModified>{_iso(one.modified_s)}</LastModified>"
            f'<ETag>"{one.etag}"</ETag><Size>{len(one.content)}</Size></Contents>'
            for key, one in ((key, objects[key]) for key in page)
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return _xml(
            start,
            f"<ListBucketResult {_XMLNS}><Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(page)}</KeyCount>{token}"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{contents}</ListBucketResult>",
        )

    def _read(self, start: Start, key: str) -> Iterable[bytes]:
        found = self._objects.get(key)
        if found is None:
            return refused(start, "404 Not Found", "NoSuchKey")
        return _answered(start, found.content, {**_facts(found), **found.headers})

    def _begin(self, start: Start, key: str, headers: dict[str, str]) -> Iterable[bytes]:
        with self._lock:
            name = f"upload-{len(self._uploads)}"
            self._uploads[name] = Upload(key, headers)
        return _xml(
            start,
            f"<InitiateMultipartUploadResult {_XMLNS}><Bucket>{BUCKET}</Bucket>"
            f"<Key>{escape(key)}</Key><UploadId>{name}</UploadId></InitiateMultipartUploadResult>",
        )

    def _part(self, start: Start, query: dict[str, str], content: bytes) -> Iterable[bytes]:
        upload = self._uploads.get(query["uploadId"])
        if upload is None:
            return refused(start, "404 Not Found", "NoSuchUpload")
        upload.parts[int(query["partNumber"])] = content
        return _answered(start, b"", {"ETag": f'"{hashlib.md5(content).hexdigest()}"'})

    def _complete(self, start: Start, name: str, content: bytes) -> Iterable[bytes]:
        upload = self._uploads.get(name)
        if upload is None:
            return refused(start, "404 Not Found", "NoSuchUpload")
        asked = [
            (int(part.findtext("PartNumber") or 0), (part.findtext("ETag") or "").strip('"'))
            for part in ET.fromstring(content).iter("Part")
        ]
        kept = [(number, hashlib.md5(part).hexdigest()) for number, part in upload.parts.items()]
        if asked != sorted(kept):
            return refused(start, "400 Bad Request", "InvalidPart")
        parts = [upload.parts[number] for number, _ in asked]
        if any(len(part) < LEAST_PART_BYTES for part in parts[:-1]):
            return refused(start, "400 Bad Request", "EntityTooSmall")
        # Unlike that of an object in one piece, this ETag is no MD5 in Google's store.
        made = self._keep(upload.key, b"".join(parts), f"-{name}=", upload.headers)
        del self._uploads[name]
        return _xml(
            start,
            f"<CompleteMultipartUploadResult {_XMLNS}><Bucket>{BUCKET}</Bucket>"
            f'<Key>{escape(upload.key)}</Key><ETag>"{made.etag}"</ETag>'
            "</CompleteMultipartUploadResult>",
            _facts(made),
        )


def _is_signed(token: str, signer: rsa.RSAPublicKey) -> bool:
    """Return whether a JSON web token is of this signer, for this store, and not too old."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    signed, _, signature = token.rpartition(".")
    try:
        signer.verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    claims = json.loads(_decoded(signed.partition(".")[2]))
    is_now: bool = claims["iat"] - 60 <= time.time() < claims["exp"]
    return is_now and (claims["iss"], claims["scope"]) == (EMAIL, _SCOPE)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _facts(found: Object) -> dict[str, str]:
    return {
        "ETag": f'"{found.etag}"',
        "Last-Modified": formatdate(found.modified_s, usegmt=True),
        "x-goog-generation": str(found.generation),
        "x-goog-metageneration": "1",
    }


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def _xml(start: Start, text: str, headers: dict[str, str] | None = None) -> Iterable[bytes]:
    body = f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
    return _answered(start, body, {"Content-Type": "application/xml", **(headers or {})})


def _answered(
    start: Start, body: bytes, headers: dict[str, str], status: str = "200 OK"
) -> Iterable[bytes]:
    start(status, [*headers.items(), ("Content-Length", str(len(body)))])
    return [body]


@contextlib.contextmanager
def google_store() -> Iterator[GoogleStore]:
    """Serve an empty store with one bucket, on a free port."""
    from tests.support.listener import listening

    server = GoogleStore()
    with listening(0, server) as server.listener:
        yield server
