"""A server over a backend that repeats pixels and can be paused, for tests of `dggn-serve`."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from runtime.errors import Cancelled
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.serve.app import make_app
from runtime.serve.folder import PrivateFolder
from runtime.serve.metrics import Metrics
from runtime.serve.server import Address, bound_socket
from runtime.serve.service import Limits, Service
from runtime.serve.strengths import Reopen
from runtime.tiles.backend import Deliver
from runtime.upscaler import Upscaler
from tests.support.processes import HANGS_S, wait_until

TILE_PX = 16
INFO = ModelInfo(
    preset="nearest", scale=2, sample_type="float32", size_multiple_px=4, halo_px=4, origin="a test"
)


class GatedBackend:
    """Repeats pixels, holding tiles back until `finish`; waits at a gate."""

    info = INFO
    uniform_tiles = False
    largest_tile_px = None
    precision = "float32"
    description = "a test"

    def __init__(self) -> None:
        self.gate = threading.Event()
        """Closed until it is set: then tiles are taken."""
        self.gate.set()
        self.error: Exception | None = None
        """Raised at the next tile."""
        self.threads: set[int] = set()
        self.taken: list[Samples] = []
        self.waits = threading.Event()
        """Set while a tile waits at the gate."""
        self._held: list[tuple[Samples, Deliver]] = []
        self._cancelled = False

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        self.threads.add(threading.get_ident())
        if not self.gate.is_set():
            self.waits.set()
        assert self.gate.wait(HANGS_S)
        self.waits.clear()
        if self._cancelled:
            raise Cancelled
        if self.error:
            error, self.error = self.error, None
            raise error
        self.taken.append(tile_hwc)
        self._held.append((tile_hwc, deliver))
        if len(self._held) == 2:
            self.finish()

    def finish(self) -> None:
        self.threads.add(threading.get_ident())
        while self._held:
            tile, deliver = self._held.pop(0)
            deliver(tile.repeat(2, axis=0).repeat(2, axis=1))

    def cancel(self) -> None:
        self._cancelled = True
        self.gate.set()

    def __enter__(self) -> GatedBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()


def upscaler_over(backend: GatedBackend, *, denoise: float | None = None) -> Upscaler:
    """An upscaler with small tiles, without a model file."""
    upscaler = Upscaler.__new__(Upscaler)
    upscaler._backend, upscaler.why, upscaler.info = backend, "", backend.info
    upscaler.model_name, upscaler.model_sha256, upscaler.denoise = "nearest", "", denoise
    upscaler._may_shrink_tiles = False
    upscaler.overlap, upscaler.tile_size = backend.info.halo_px, TILE_PX
    return upscaler


class BrighterBackend(GatedBackend):
    """Adds an offset, so that results show which strength made them."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self._more = round(100 * strength)

    def submit(self, tile_hwc: Samples, deliver: Deliver) -> None:
        super().submit(tile_hwc + np.uint8(self._more), deliver)


class Opener:
    """Opens the model at other strengths of denoising, and records them."""

    def __init__(self) -> None:
        self.opened: list[float] = []
        self.backends: list[BrighterBackend] = []

    def __call__(self, strength: float) -> Upscaler:
        self.opened.append(strength)
        self.backends.append(BrighterBackend(strength))
        return upscaler_over(self.backends[-1], denoise=strength)


@dataclass
class Answered:
    """A server's response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def image(self) -> Image.Image:
        return Image.open(io.BytesIO(self.body))


@dataclass
class Bench:
    """A server on loopback, in a thread of this process."""

    service: Service
    backend: GatedBackend
    folder: Path
    port: int
    failures: list[BaseException] = field(default_factory=list)

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> Answered:
        """Send a request; underscores in names of headers stand for hyphens."""
        connection = self.connect()
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, found, response.read())
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)

    def begin(self, path: str, body: bytes) -> http.client.HTTPConnection:
        """Send a request and do not wait for its answer."""
        connection = self.connect()
        connection.request("POST", path, body)
        return connection

    @property
    def rooms(self) -> list[Path]:
        """Folders of unfinished requests."""
        return [path for path in self.folder.iterdir() if path.is_dir()]

    def is_idle(self) -> bool:
        return not self.rooms and self.service.is_ready and not self.service._taken


@contextlib.contextmanager
def served(
    *,
    token: str | None = None,
    denoise: float | None = None,
    reopen: Reopen | None = None,
    **limits: Any,
) -> Iterator[Bench]:
    """Run a server during the block."""
    backend, failures = GatedBackend(), list[BaseException]()
    with (
        PrivateFolder() as folder,
        bound_socket(Address(port=0)) as listening,
    ):
        service = Service(
            upscaler_over(backend, denoise=denoise),
            Limits(**limits),
            folder,
            Metrics(),
            reopen=reopen,
            on_failure=failures.append,
        )
        app = make_app(service, names=("localhost",), only_loopback=True, token=token)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", ws="none", server_header=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started)
            port = listening.getsockname()[1]
            yield Bench(service, backend, folder.path, port, failures)
        finally:
            backend.gate.set()
            server.should_exit = True
            thread.join(HANGS_S)
            service.close()
            assert not thread.is_alive()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def file_of(rgb_hwc: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """Return a picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(rgb_hwc).save(buffer, form, **options)
    return buffer.getvalue()
