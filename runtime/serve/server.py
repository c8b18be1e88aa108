"""The server: its socket, signals and shutdown."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

import uvicorn

from runtime.errors import BackendError, ConfigError, EnvironmentProblem
from runtime.serve.app import make_app
from runtime.serve.folder import PrivateFolder
from runtime.serve.metrics import Metrics
from runtime.serve.service import Limits, Service
from runtime.serve.strengths import Reopen
from runtime.upscaler import Upscaler

LEAST_TOKEN = 16
"""Minimum token length; shorter ones can be guessed."""

MOST_CONNECTIONS = 1000
"""Maximum number of connections; more are refused before anything is read."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Address of a server, and who may use it.

    Raises:
        ConfigError: it is open to other machines without a token, or the token is too short.
    """

    host: str = "127.0.0.1"
    port: int = 8017
    names: Sequence[str] = ()
    """Names of the server, besides `host` and addresses."""
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.token is not None and (
            len(self.token) < LEAST_TOKEN
            or not self.token.isascii()
            or not self.token.isprintable()
        ):
            raise ConfigError(
                f"the token must have {LEAST_TOKEN} or more ASCII characters, for example those of "
                "`openssl rand -hex 16`"
            )
        if self.token is None and not self.is_loopback:
            raise ConfigError(
                f"--host {self.host} lets other machines in: ask them for a token, in the "
                "environment variable DGGN_SERVE_TOKEN or with --token"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def bound_socket(address: Address) -> socket.socket:
    """Return a bound socket, which listens once the server runs.

    Raises:
        EnvironmentProblem: the address cannot be bound.
    """
    try:
        (family, kind, protocol, _, place), *_ = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, kind, protocol)
        try:
            if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot listen at {address.host}, port {address.port}: {error.strerror or error}. "
            "Choose another --host or --port"
        ) from error
    return listening


class _Server(uvicorn.Server):
    """Server that reports when it listens, and when it is asked to stop."""

    def __init__(
        self, config: uvicorn.Config, *, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)


def run_server(
    upscaler: Upscaler,
    listening: socket.socket,
    address: Address,
    limits: Limits,
    *,
    reopen: Reopen,
    stop_building: Callable[[], None] = lambda: None,
    say: Callable[[str], None],
) -> None:
    """Serve until a signal arrives; running requests finish, unless a second signal comes.

    Args:
        upscaler: opened; only the server uses it.
        listening: the socket of the address; the caller closes it.
        address: who may talk to it.
        limits: what is taken.
        reopen: opens the upscaler's model at other strengths of denoising.
        stop_building: ends the build of an engine that a request has begun.
        say: told the address.

    Raises:
        TargetError: there is no folder for uploads.
        BackendError: the inference library failed for good.
    """
    failures: list[BaseException] = []
    with PrivateFolder() as folder:

        def on_failure(error: BaseException) -> None:
            failures.append(error)
            service.is_closing = server.should_exit = True

        def on_stop() -> None:
            service.is_closing = True

        service = Service(upscaler, limits, folder, Metrics(), reopen=reopen, on_failure=on_failure)
        app = make_app(
            service,
            names=("localhost", address.host, *address.names),
            only_loopback=address.is_loopback,
            token=address.token,
        )
        url = _url(listening)
        server = _Server(_config(app), on_start=lambda: say(url), on_stop=on_stop)
        # uvicorn raises the signal again at its end, which must have no effect.
        before = {number: signal.signal(number, _nothing) for number in _SIGNALS}
        try:
            server.run(sockets=[listening])
        finally:
            stop_building()
            service.close()
            for number, handler in before.items():
                signal.signal(number, handler)
    if failures:
        raise BackendError(f"the server had to stop: {failures[0]}") from failures[0]


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Ignore a signal."""


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        lifespan="off",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
    )
