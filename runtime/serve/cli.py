"""The command `dggn-serve`."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Annotated, Literal

import typer

from runtime.model.info import DEFAULT_MODEL
from runtime.run.arguments import gpu_numbers, list_devices, openvino_device
from runtime.system.package import version_option

TOKEN_VARIABLE = "DGGN_SERVE_TOKEN"
EXTRA = ("starlette", "uvicorn", "prometheus_client", "python_multipart")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def serve(
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in, with a token."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8017,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            show_default=False,
            help="Asked of every client. Other users of this machine can read command lines: "
            "better use the variable.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name by which clients may call this server, for example a proxy's.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE|URL",
            help="A shipped model, an ONNX file that enlarges RGB pictures, or its https URL.",
        ),
    ] = DEFAULT_MODEL,
    denoise: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How much noise and JPEG artefacts to remove where a request does not say; see "
            "dggn-run.",
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "bfloat16", "float32", "int8"],
        typer.Option(help="To compute in; see dggn-run."),
    ] = "auto",
    backend: Annotated[
        Literal["auto", "tensorrt", "cuda", "openvino", "onnxruntime", "cpu"],
        typer.Option(help="What computes; see dggn-run."),
    ] = "auto",
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="N,...|NAME|list",
            help="Which GPUs, or with --backend openvino CPU, GPU, GPU.1 or NPU; see dggn-run.",
            callback=list_devices,
            is_eager=True,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of the processor, for the network; all by default."),
    ] = None,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Use TensorRT only where an engine is there.")
    ] = False,
    max_mb: Annotated[
        float, typer.Option(min=0.001, max=2000, metavar="MB", help="Of a file that is sent.")
    ] = 64,
    max_megapixels: Annotated[
        float,
        typer.Option(
            min=0.001, max=178, metavar="MP", help="Of a picture, all its frames counted."
        ),
    ] = 50,
    queue: Annotated[
        int, typer.Option(min=1, max=1000, help="Requests at once; more are told to come later.")
    ] = 64,
    timeout: Annotated[
        float, typer.Option(min=1, max=86400, metavar="SECONDS", help="For a request.")
    ] = 600,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1e6,
            metavar="GB",
            help="Memory that pictures may take; what would take more is made in strips.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Upscale pictures over HTTP, and offer a page to drop them on.

    POST a picture to /upscale, as the body or in a form; the parameters are the options of
    dggn-run: /openapi.json describes them. The page is at /.

    Ctrl-C, or SIGTERM, stops taking requests and ends when those that are begun are answered; a
    second one ends at once.

    Exit codes: 0, stopped; 2, the command makes no sense as given; 3, this machine lacks something.
    """
    logging.basicConfig(level=logging.WARNING, format="dggn-serve: %(message)s", stream=sys.stderr)
    from export.half_file import half_file
    from export.trt.on_demand import EngineBuilder
    from runtime.backends.request import BackendRequest
    from runtime.report.console import choose_progress
    from runtime.run.memory import RESULT_SHARE
    from runtime.system.package import require
    from runtime.system.terminal import errors_reported

    progress = choose_progress(quiet=quiet)
    builds = backend in ("auto", "tensorrt") and not no_build
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
        request = BackendRequest(
            name=backend,
            precision=None if precision == "auto" else precision,
            devices=None if devices is None or backend == "openvino" else gpu_numbers(devices),
            openvino_device=openvino_device(devices) if backend == "openvino" else "CPU",
            threads=threads,
            build=EngineBuilder(quiet=quiet) if builds else None,
            half=half_file,
            say=progress.say,
        )
        with bound_socket(address) as listening:
            path = local_model(model, say=progress.say, bar=progress.fetching)
            opened = partial(Upscaler.from_request, path, request)
            with opened(denoise=denoise) as upscaler:
                progress.say(upscaler.description + (f"; {upscaler.why}" if upscaler.why else ""))
                run_server(
                    upscaler,
                    listening,
                    address,
                    limits,
                    reopen=lambda strength: opened(denoise=strength),
                    say=progress.say,
                )
