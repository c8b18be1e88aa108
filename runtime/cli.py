"""The command `dggn-run`."""

from __future__ import annotations

import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from runtime.model.info import DEFAULT_MODEL
from runtime.run.arguments import gpu_numbers, list_devices, openvino_device, place_argument
from runtime.system.package import version_option
from runtime.system.terminal import INTERRUPTED

if TYPE_CHECKING:
    from runtime.run.batch import Batch
    from runtime.run.options import Options


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def run(
    source: Annotated[
        Any,  # a Place: a path or a URL
        typer.Argument(
            metavar="INPUT",
            parser=place_argument,
            help="A picture, or a folder of pictures; s3://, gs:// or az:// for an object store.",
        ),
    ],
    target: Annotated[
        Any,
        typer.Argument(
            metavar="OUTPUT",
            parser=place_argument,
            help="A folder, in which the tree of INPUT is recreated; or, for one picture, a file. "
            "Also in an object store.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE|URL",
            help="A shipped model, an ONNX file that enlarges RGB pictures, or its https URL, "
            "fetched once; #sha256=... after it insists on a content.",
        ),
    ] = DEFAULT_MODEL,
    precision: Annotated[
        Literal["auto", "bfloat16", "float32", "int8"],
        typer.Option(
            help="To compute in. auto: the quickest that was found to make the model's pictures "
            "here. int8 is another version of a shipped model."
        ),
    ] = "auto",
    backend: Annotated[
        Literal["auto", "tensorrt", "cuda", "openvino", "onnxruntime", "cpu"],
        typer.Option(
            help="What computes. auto: TensorRT where it has an engine or can build one, else "
            "ONNX Runtime on CUDA, else OpenVINO on the CPU, else ONNX Runtime there. onnxruntime, "
            "or cpu: ONNX Runtime on the CPU."
        ),
    ] = "auto",
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="N,...|NAME|list",
            help="Which GPUs, as CUDA counts them; the first by default. With --backend openvino "
            "CPU, GPU, GPU.1 or NPU. list: say what each backend sees.",
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
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="same|png|jpg|webp|tiff|gif|avif",
            help="Of the results; same as the picture's by default.",
        ),
    ] = "same",
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Of results in JPEG, WebP and AVIF.")
    ] = 95,
    suffix: Annotated[
        str, typer.Option(help="Put before the extension of every result, for example _x4.")
    ] = "",
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="TIMES",
            help="Size of results, for example 1.5 [default: the model's, mostly 4].",
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Width of results; the height follows.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Height of results; the width follows.")
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="PX", help="Reduce results whose longer side exceeds this."),
    ] = None,
    megapixels: Annotated[
        float | None, typer.Option(metavar="MP", help="Size of results in millions of pixels.")
    ] = None,
    second_pass: Annotated[
        bool,
        typer.Option(
            "--second-pass", help="Enlarge twice where a result is larger than the model makes."
        ),
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="PX", help="Input pixels per side given to the network at once."
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="PX", help="Input pixels around each tile that are computed twice."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures written at once; fewer take less memory."),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1e6,
            metavar="GB",
            help="Memory that pictures may take; what would take more is made in strips.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="N/COUNT",
            help="Do one of COUNT equal parts of a folder, numbered from 0: for job arrays.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="Use the machines of the Ray cluster that this one is a node of.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the cluster; by default one for each GPU, or for each 16 cores.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Redo everything, and replace files of any origin."),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="PAGE.html", help="Write a page with every picture before and after."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done and how long it would take."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    json_report: Annotated[
        bool, typer.Option("--json", help="Print a report on standard output.")
    ] = False,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Upscale a picture or a folder of pictures.

    A second run resumes: results that are complete, and were made from the same picture by the
    same model and settings, are left alone. What it needs to know this is in the file
    .dggn-run.jsonl in OUTPUT. A file in OUTPUT that this command did not make, or made from another
    picture, is never replaced without --overwrite; its picture is reported as skipped. In an
    object store, every result says itself what it was made from, and there is no journal.

    Of --scale, --width, --height, --max-size and --megapixels one may be given. What the model
    makes is reduced to that size; what would be larger is refused without --second-pass.

    Exit codes: 0, every picture has its result; 1, some failed, or gave way to a file that this
    command did not make; 2, the command makes no sense as given; 3, this machine lacks something,
    for example room on the disk; 130, interrupted, what is finished is kept.
    """
    logging.basicConfig(level=logging.WARNING, format="dggn-run: %(message)s", stream=sys.stderr)
    from export.trt.on_demand import EngineBuilder
    from runtime.cluster.crew import open_cluster
    from runtime.errors import ConfigError, DggnError, EnvironmentProblem
    from runtime.report.console import complain, print_result, progress_for_people
    from runtime.run.interrupt import run_interruptibly
    from runtime.run.workers import OpenWorkers, open_here

    builder = EngineBuilder(quiet=quiet)
    try:
        from runtime.backends.request import BackendRequest
        from runtime.codecs.output import FormatName, OutputSettings
        from runtime.jobs.shard import Shard
        from runtime.run.batch import Batch
        from runtime.run.options import Options

        options = Options(
            source=source,
            target=target,
            settings=OutputSettings(
                format=cast(FormatName, file_format),
                quality=quality,
                scale=scale,
                width_px=width,
                height_px=height,
                max_size_px=max_size,
                megapixels=megapixels,
                second_pass=second_pass,
            ),
            model=model,
            request=BackendRequest(
                name=backend,
                precision=None if precision == "auto" else precision,
                tile_px=tile,
                devices=None if devices is None or backend == "openvino" else gpu_numbers(devices),
                openvino_device=openvino_device(devices) if backend == "openvino" else "CPU",
                threads=threads,
                build=builder if backend in ("auto", "tensorrt") and not no_build else None,
            ),
            suffix=suffix,
            overlap=overlap,
            jobs=jobs,
            memory_bytes=None if memory is None else int(memory * 1e9),
            shard=None if shard is None else Shard.parse(shard),
            overwrite=overwrite,
            keep_results=json_report,
            page=report,
        )
        if workers and not cluster:
            raise ConfigError("--workers is for --cluster: leave it out, or name a cluster")
        if dry_run and cluster:
            raise ConfigError("--dry-run measures this machine: leave --cluster out")
        if dry_run and report:
            raise ConfigError("--dry-run writes nothing, so no --report either: leave one out")
        if dry_run:
            raise typer.Exit(_dry_run(options, quiet=quiet, as_json=json_report))
    except DggnError as error:
        complain(error)
        raise typer.Exit(error.exit_code) from None
    open_workers: OpenWorkers = open_here
    if cluster:
        make_builder = partial(EngineBuilder, quiet=True) if options.request.build else None
        open_workers = partial(open_cluster, cluster, workers, make_builder)
    batch = Batch(options, progress_for_people(quiet=quiet), open_workers)
    code = 0
    try:
        if not run_interruptibly(batch.run, (batch.cancel, builder.cancel)):
            code, batch.report.error = INTERRUPTED, "interrupted"
    except DggnError as error:
        code, batch.report.error = error.exit_code, str(error)
        complain(error)
        if isinstance(error, EnvironmentProblem) and batch.report.totals.done:
            typer.echo("What was finished is kept; the same command goes on from there.", err=True)
    code = _write_page(batch, code)
    totals = batch.report.totals
    if json_report:
        printed = print_result(json.dumps(batch.report.as_dict(), indent=2))
        code = code or printed
    if code == INTERRUPTED:
        typer.echo("interrupted; the same command goes on from here", err=True)
        sys.stderr.flush()
        # Threads may still be at work on a picture; nobody waits for them.
        os._exit(INTERRUPTED)
    raise typer.Exit(code or int(totals.failed + totals.skipped > 0))


def _dry_run(options: Options, *, quiet: bool, as_json: bool) -> int:
    """Print what would be done.

    Raises:
        DggnError: nothing could be done.
    """
    from runtime.report.console import print_result
    from runtime.report.lines import planned_line
    from runtime.report.progress import PlainProgress, QuietProgress
    from runtime.run.dry_run import dry_run, forecast
    from runtime.system.terminal import printable

    progress = QuietProgress(sys.stderr) if quiet else PlainProgress(sys.stderr)
    result = dry_run(options, progress)
    if as_json:
        lines = [json.dumps(result.as_dict(), indent=2)]
    else:
        planned = [file for file in result.files if file.status == "planned" and not quiet]
        lines = [*(printable(planned_line(file)) for file in planned), forecast(result)]
    return print_result("\n".join(lines)) or int(result.totals.failed + result.totals.skipped > 0)


def _write_page(batch: Batch, code: int) -> int:
    """Write the report that was asked for.

    Returns:
        The exit code: the run's, unless that was good and the page cannot be written.
    """
    from runtime.errors import DggnError
    from runtime.report.console import complain

    try:
        batch.write_page()
    except DggnError as error:
        complain(error)
        return code or error.exit_code
    return code
