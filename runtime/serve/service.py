"""Request handling: a place, the upload, a turn, the work, and the response."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runtime.codecs.limits import MAX_PIXELS
from runtime.run.memory import default_memory_bytes
from runtime.run.pipeline import default_jobs
from runtime.run.route import Route
from runtime.serve.answer import Answer, Held
from runtime.serve.folder import PrivateFolder
from runtime.serve.metrics import Metrics
from runtime.serve.parameters import (
    PARAMETERS,
    Parameter,
    RequestOptions,
    options_of,
    read_parameters,
)
from runtime.serve.problems import Problem
from runtime.serve.sizes import Size, Turn, size_of, sizes_for, turn_of
from runtime.serve.strengths import Reopen, Strength, Strengths
from runtime.serve.upload import receive
from runtime.serve.work import UPLOAD, PictureWork, Result, Waiting, check_before, view
from runtime.upscaler import Upscaler

Anything = TypeVar("Anything")
_Wanted: TypeAlias = tuple[float | None, bool]
"""Strength, and whether for 16 bits."""

Make = Callable[[Path, RequestOptions, Held], Coroutine[Any, Any, Result]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a server."""

    max_bytes: int = 64_000_000
    """Maximum size of an upload."""
    max_pixels: int = min(50_000_000, MAX_PIXELS)
    """Maximum pixels of a picture, over all frames or pages."""
    queue: int = 64
    """Maximum number of requests, waiting or running."""
    timeout_s: float = 600
    """Seconds for a request, from its first byte to the last of its response."""
    memory_bytes: int | None = None
    """Memory for results; None for `dggn-run`'s default."""


class Service:
    """Upscaler of requests.

    Args:
        upscaler: only the service uses its backend from now on.
        limits: what is taken.
        folder: for uploads and results.
        metrics: told what was done.
        reopen: opens the same model at other strengths of denoising.
        on_failure: told, from another thread, what ended all work: for example a broken device.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        limits: Limits,
        folder: PrivateFolder,
        metrics: Metrics,
        *,
        reopen: Reopen | None = None,
        on_failure: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.upscaler = upscaler
        self.limits = limits
        self.metrics = metrics
        self.is_closing = False
        """Whether new requests are refused; those with a place still finish."""
        self._folder = folder
        self._taken = 0
        self._progress: dict[str, Waiting] = {}
        self.strengths = Strengths(upscaler, reopen, on_failure=on_failure)
        jobs = default_jobs(on_gpu=upscaler.on_gpu)
        self._sizes = sizes_for(limits.memory_bytes or default_memory_bytes(), jobs=jobs)
        self._threads = ThreadPoolExecutor(jobs + sum(size.at_once for size in self._sizes))
        # One, for what it opens takes the device's memory and the processor for itself.
        self._opener = ThreadPoolExecutor(1)
        self._opening: dict[_Wanted, asyncio.Future[Strength]] = {}
        metrics.queue.set_function(lambda: self._taken)

    @property
    def is_ready(self) -> bool:
        """Whether a request would be accepted now."""
        return not self.is_closing and self._taken < self.limits.queue

    def close(self) -> None:
        """Cancel running work."""
        self.is_closing = True
        self._opener.shutdown(wait=False, cancel_futures=True)
        self.strengths.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def progress(self, request_id: str) -> dict[str, object]:
        """Return the progress of a request.

        Raises:
            Problem: there is none with this id.
        """
        if request_id not in self._progress:
            raise Problem(404, "no request with this id is in progress")
        found = self._progress[request_id]
        return {"state": found.state, "share": round(found.share, 4)}

    async def upscale(self, request: Request) -> Response:
        """Handle `/upscale`."""
        return await self._answered(request, PARAMETERS, self._upscaled)

    async def view(self, request: Request) -> Response:
        """Handle `/view`."""
        return await self._answered(request, {}, self._viewed)

    async def _answered(
        self, request: Request, known: Mapping[str, Parameter], make: Make
    ) -> Response:
        """Take a place, receive the upload, make a result within the time limit, and respond."""
        deadline = asyncio.get_running_loop().time() + self.limits.timeout_s
        query = request.query_params.multi_items()
        options_of(read_parameters(query, known=known))  # said before the upload
        with self._place() as stack:
            upload = stack.enter_context(self._folder.room()) / UPLOAD
            form = await self._received(request, upload)
            options = options_of(read_parameters([*query, *form], known=known))
            self._register(options, stack)
            held = Held(stack.pop_all())
        try:
            result = await self._while_there(request, make(upload, options, held), deadline)
        except BaseException:
            held.release()
            raise
        return Answer(result, held, deadline=deadline)

    @contextlib.contextmanager
    def _place(self) -> Iterator[ExitStack]:
        """Provide a place, released with the stack."""
        if self.is_closing:
            raise Problem(503, "the server is stopping: send it again later")
        if self._taken >= self.limits.queue:
            raise Problem(503, "the server is busy: try again later")
        with ExitStack() as stack:
            self._taken += 1
            stack.callback(self._leave)
            yield stack

    def _leave(self) -> None:
        self._taken -= 1

    def _register(self, options: RequestOptions, stack: ExitStack) -> None:
        """Publish the progress under the request's id."""
        if options.id is None:
            return
        if options.id in self._progress:
            raise Problem(409, "a request with this id is in progress: choose another")
        self._progress[options.id] = Waiting()
        stack.callback(self._progress.pop, options.id)

    async def _received(self, request: Request, upload: Path) -> list[tuple[str, str]]:
        body = receive(request, upload, most_bytes=self.limits.max_bytes)
        try:
            return await asyncio.wait_for(body, self.limits.timeout_s)
        except asyncio.TimeoutError:
            raise Problem(408, "the picture did not arrive in time: send it again") from None

    async def _while_there(
        self, request: Request, making: Coroutine[Any, Any, Result], deadline: float
    ) -> Result:
        """Return the result, unless the client disconnects or time runs out."""
        loop = asyncio.get_running_loop()
        work = loop.create_task(making)
        gone = loop.create_task(_until_gone(request))
        try:
            await asyncio.wait(
                {work, gone},
                timeout=max(0.0, deadline - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if work.done():
                return work.result()
            if gone.done():
                raise ClientDisconnect
            raise Problem(
                504,
                f"it took longer than {self.limits.timeout_s:g} s: send a smaller picture, or try "
                "again when fewer are waiting",
            )
        finally:
            gone.cancel()
            work.cancel()

    async def _upscaled(self, upload: Path, options: RequestOptions, held: Held) -> Result:
        scale, max_pixels = self.upscaler.info.scale, self.limits.max_pixels
        settings = options.settings
        outline, result_bytes = await self._in_thread(
            held, lambda: check_before(upload, settings, scale=scale, max_pixels=max_pixels)
        )
        strength = await self._opened(options.denoise, is_deep=outline.is_deep)
        size = size_of(result_bytes, self._sizes)
        async with turn_of(size) as turn:
            lane = strength.feeder.lane(size.rank)
            work = PictureWork(
                upload,
                settings,
                upscaler=strength.upscaler.over(lane),
                lane=lane,
                route=Route(self.upscaler.info, settings, whole_bytes=self._sizes[-1].most_bytes),
                outline=outline,
                progress=self._progress.get(options.id or "", Waiting()),
            )
            result = await self._worked(work, size, held, turn)
        for name, (height, width) in (
            ("sources", result.source_size_hw),
            ("results", result.size_hw),
        ):
            self.metrics.pixels.labels(name).inc(height * width * result.frames)
        return result

    async def _opened(self, denoise: float | None, *, is_deep: bool) -> Strength:
        """Return the model at a strength, which all requests that want it wait for together."""
        if denoise is None and not is_deep:
            return self.strengths.default
        wanted = (denoise, is_deep)
        if wanted not in self._opening:
            open_it = partial(self.strengths.at, denoise, is_deep=is_deep)
            future = asyncio.get_running_loop().run_in_executor(self._opener, open_it)
            future.add_done_callback(lambda done: self._forget_failure(wanted, done))
            self._opening[wanted] = future
        return await asyncio.shield(self._opening[wanted])

    def _forget_failure(self, wanted: _Wanted, done: asyncio.Future[Strength]) -> None:
        """Let later requests ask again for what could not be opened; what is open stays here."""
        if done.cancelled() or done.exception():
            del self._opening[wanted]

    async def _worked(self, work: PictureWork, size: Size, held: Held, turn: Turn) -> Result:
        working = self.metrics.working.labels(size.name)

        def run() -> Result:
            with working.track_inprogress():
                return work.run(size)

        try:
            return await self._in_thread(held, run, turn)
        except asyncio.CancelledError:
            work.cancel()
            raise

    async def _viewed(self, upload: Path, options: RequestOptions, held: Held) -> Result:
        medium = self._sizes[1]
        async with turn_of(medium) as turn:
            return await self._in_thread(
                held, lambda: view(upload, max_pixels=self.limits.max_pixels), turn
            )

    async def _in_thread(
        self, held: Held, work: Callable[[], Anything], turn: Turn | None = None
    ) -> Anything:
        """Run in a thread, which keeps its resources even when nobody waits for it any more."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            held.release()
            if turn:
                turn.give_back()

        def ended(future: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(end)

        future = self._threads.submit(_without_stop, work)
        held.hold()
        if turn:
            turn.is_passed_on = True
        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)


def _without_stop(work: Callable[[], Anything]) -> Anything:
    """Run work, replacing `StopIteration`, which no future of the event loop accepts."""
    try:
        return work()
    except StopIteration as error:
        raise RuntimeError("a generator ended early") from error


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
