"""The command `dggn-serve`."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Annotated

import typer

from runtime.run.arguments import (
    BackendOption,
    DevicesOption,
    MemoryOption,
    ModelOption,
    NoBuildOption,
    PrecisionOption,
    QuietOption,
    ThreadsOption,
    backend_request,
    may_build,
)
from runtime.system.package import version_option

TOKEN_VARIABLE = "DGGN_SERVE_TOKEN"
STOP_BUILDING_S = 5
"""Seconds that a TensorRT build has to clean up when the server ends."""

EXTRA = ("starlette", "uvicorn", "prometheus_client", "python_multipart")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 for other machines too, which need a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")
    ] = 8017,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            show_default=False,
            help="Token that clients must send. Prefer the environment variable: other users of "
            "this machine can read command lines.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Additional host name of this server, for example a proxy's; repeatable.",
        ),
    ] = None,
    model: ModelOption = None,
    denoise: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Default denoising strength of requests; see dggn-run.",
        ),
    ] = None,
    precision: PrecisionOption = "auto",
    backend: BackendOption = "auto",
    devices: DevicesOption = None,
    threads: ThreadsOption = None,
    no_build: NoBuildOption = False,
    max_mb: Annotated[
        float, typer.Option(min=0.001, max=2000, metavar="MB", help="Largest upload.")
    ] = 64,
    max_megapixels: Annotated[
        float,
        typer.Option(
            min=0.001, max=178, metavar="MP", help="Largest picture, in megapixels over all frames."
        ),
    ] = 50,
    queue: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Largest number of requests at once; more are told to retry."
        ),
    ] = 64,
    timeout: Annotated[
        float, typer.Option(min=1, max=86400, metavar="SECONDS", help="Time limit of a request.")
    ] = 600,
    memory: MemoryOption = None,
    quiet: QuietOption = False,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Upscale pictures over HTTP, and offer a page to drop them on.

    POST a picture to /upscale, as the body or in a form. /openapi.json describes the parameters,
    which are options of dggn-run. The page is at /.

    On Ctrl-C or SIGTERM, the server accepts no more requests, and ends when the running ones are
    answered; a second one ends it at once.

    Exit codes: 0, stopped; 2, the arguments are invalid; 3, something is missing on this machine.
    """
    logging.basicConfig(level=logging.WARNING, format="dggn-serve: %(message)s", stream=sys.stderr)
    from export.half_file import half_file
    from export.trt.on_demand import EngineBuilder
    from runtime.report.console import choose_progress
    from runtime.run.memory import RESULT_SHARE
    from runtime.system.package import require
    from runtime.system.terminal import errors_reported

    progress = choose_progress(quiet=quiet)
    with errors_reported("dggn-serve"):
        require(*EXTRA, extra="serve")
        from runtime.backends.fetch import local_model
        from runtime.serve.server import Address, bound_socket, run_server
        from runtime.serve.service import Limits
        from runtime.upscaler import Upscaler

        address = Address(host=host, port=port, names=allow_host or (), token=token or None)
        limits = Limits(
            max_bytes=int(max_mb * 1e6),
            max_pixels=int(max_megapixels * 1e6),
            queue=queue,
            timeout_s=timeout,
            memory_bytes=None if memory is None else int(memory * 1e9) // RESULT_SHARE,
        )
        builder = EngineBuilder(quiet=quiet)
        request = backend_request(
            backend,
            precision,
            devices,
            threads=threads,
            build=builder if may_build(backend, no_build) else None,
            half=half_file,
            say=progress.say,
        )
        with bound_socket(address) as listening:
            if model is not None:
                model = local_model(model, say=progress.say, bar=progress.fetching)
            opened = partial(Upscaler.from_request, model, request)
            with opened(denoise=denoise) as upscaler:
                progress.say(upscaler.description + (f"; {upscaler.why}" if upscaler.why else ""))
                run_server(
                    upscaler,
                    listening,
                    address,
                    limits,
                    reopen=lambda strength: opened(denoise=strength),
                    stop_building=partial(builder.cancel, within_s=STOP_BUILDING_S),
                    say=progress.say,
                )
