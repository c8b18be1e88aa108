"""The command `dggn-run`."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

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
    place,
)
from runtime.system.package import version_option
from runtime.system.terminal import INTERRUPTED

if TYPE_CHECKING:
    from runtime.run.batch import Batch
    from runtime.run.options import Options


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def run(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Picture, video, or folder of them; s3://, gs:// or az:// for an object store.",
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            help="Output folder, which recreates the tree of INPUT; or, for one picture or video, "
            "a file. Also in an object store.",
        ),
    ],
    model: ModelOption = None,
    denoise: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How much noise and JPEG artefacts to remove, for the photo model: 0 keeps grain "
            "and texture, 1 is cleanest [default: 1].",
        ),
    ] = None,
    precision: PrecisionOption = "auto",
    backend: BackendOption = "auto",
    devices: DevicesOption = None,
    threads: ThreadsOption = None,
    cuda_graphs: Annotated[
        bool | None,
        typer.Option(
            help="Capture TensorRT's batches as CUDA graphs [default: on, except with TensorRT 8].",
            show_default=False,
        ),
    ] = None,
    no_build: NoBuildOption = False,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="same|png|jpg|webp|tiff|gif|avif",
            help="Output format; the input's by default.",
        ),
    ] = "same",
    quality: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Quality of JPEG, WebP and AVIF; WebP is lossless at 100."
        ),
    ] = 95,
    suffix: Annotated[
        str, typer.Option(help="Inserted before the extension of every result, for example _x4.")
    ] = "",
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="TIMES",
            help="Output scale, for example 1.5 [default: the model's, usually 4].",
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Output width; the height follows.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=1, metavar="PX", help="Output height; the width follows.")
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="PX", help="Maximum length of the longer side."),
    ] = None,
    megapixels: Annotated[
        float | None, typer.Option(metavar="MP", help="Output size in megapixels.")
    ] = None,
    second_pass: Annotated[
        bool,
        typer.Option("--second-pass", help="Run the model twice if one pass is not large enough."),
    ] = False,
    video_codec: Annotated[
        str,
        typer.Option(
            metavar="auto|h264|hevc|av1|vp9|ENCODER",
            help="Codec of videos. auto: VP9 in WebM, HEVC for more than 8 bits, else H.264. Or an "
            "FFmpeg encoder, for example h264_nvenc.",
        ),
    ] = "auto",
    crf: Annotated[
        int | None,
        typer.Option(min=0, help="Constant quality of videos, lower is better [default: 18]."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Preset of the video encoder, for example slow."),
    ] = None,
    deinterlace: Annotated[
        bool, typer.Option("--deinterlace", help="Deinterlace interlaced videos.")
    ] = False,
    hdr: Annotated[
        bool, typer.Option("--hdr", help="Upscale HDR videos, although models are trained on SDR.")
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(min=1, metavar="PX", help="Tile size in input pixels per side."),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(min=0, metavar="PX", help="Overlap of tiles in input pixels per side."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures encoded at once; fewer need less memory."),
    ] = None,
    memory: MemoryOption = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="N/COUNT",
            help="Process one of COUNT equal parts of a folder, numbered from 0: for job arrays.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="Ray cluster to run on, of which this machine must be a node.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Workers on the cluster; by default one for each GPU, or for each 16 cores.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Redo everything, replacing files of any origin."),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html", help="Write a page that shows every picture before and after."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done and how long it would take."),
    ] = False,
    quiet: QuietOption = False,
    json_report: Annotated[
        bool, typer.Option("--json", help="Print a JSON report on standard output.")
    ] = False,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Upscale pictures and videos: one, or a folder of them.

    Run the same command to resume: complete results of the same picture, model and settings are
    kept. The journal .dggn-run.jsonl in OUTPUT records them. A file in OUTPUT that this command
    did not make, or made from another picture, is never replaced without --overwrite; its picture
    is reported as skipped. In an object store there is no journal: every result's metadata records
    its origin.

    A video resumes at its last complete segment of 120 frames. Segments are kept in a hidden
    folder in OUTPUT until the video is finished.

    At most one of --scale, --width, --height, --max-size and --megapixels may be given. The
    model's result is reduced to that size; larger sizes need --second-pass.

    Exit codes: 0, every picture has its result; 1, some failed, or would replace a file that
    this command did not make; 2, the arguments are invalid; 3, something is missing on this
    machine, for example disk space; 130, interrupted, with finished results kept.
    """
    logging.basicConfig(level=logging.WARNING, format="dggn-run: %(message)s", stream=sys.stderr)
    from export.half_file import half_file
    from export.trt.on_demand import EngineBuilder
    from runtime.errors import ConfigError, DggnError, EnvironmentProblem
    from runtime.report.console import choose_progress, complain, print_result
    from runtime.run.interrupt import run_interruptibly
    from runtime.run.workers import OpenWorkers, open_here

    builder = EngineBuilder(quiet=quiet)
    try:
        from runtime.codecs.output import FormatName, OutputSettings
        from runtime.jobs.shard import Shard
        from runtime.run.batch import Batch
        from runtime.run.options import Options
        from runtime.video.settings import VideoSettings

        options = Options(
            source=place(source, "INPUT"),
            target=place(target, "OUTPUT"),
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
            request=backend_request(
                backend,
                precision,
                devices,
                tile_px=tile,
                threads=threads,
                build=builder if may_build(backend, no_build) else None,
                half=half_file,
                cuda_graphs=cuda_graphs,
            ),
            video=VideoSettings(
                codec=video_codec, crf=crf, preset=preset, deinterlace=deinterlace, hdr=hdr
            ),
            denoise=denoise,
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
            raise ConfigError("--workers needs --cluster: leave it out, or name a cluster")
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
        from runtime.cluster.crew import open_cluster

        make_builder = partial(EngineBuilder, quiet=True) if options.request.build else None
        open_workers = partial(open_cluster, cluster, workers, make_builder)
    batch = Batch(options, choose_progress(quiet=quiet), open_workers)
    gc.freeze()  # all that was imported stays: looking through it for garbage would take long
    code = 0
    try:
        if not run_interruptibly(batch.run, (batch.cancel, builder.cancel)):
            code, batch.report.error = INTERRUPTED, "interrupted"
    except DggnError as error:
        code, batch.report.error = error.exit_code, str(error)
        complain(error)
        if isinstance(error, EnvironmentProblem) and batch.report.totals.done:
            typer.echo("Finished results are kept; run the same command to resume.", err=True)
    code = _write_page(batch, code)
    totals = batch.report.totals
    if json_report:
        printed = print_result(json.dumps(batch.report.as_dict(), indent=2))
        code = code or printed
    if code == INTERRUPTED:
        typer.echo("interrupted; run the same command to resume", err=True)
        sys.stderr.flush()
        # Threads may still be working on a picture; they are not waited for.
        os._exit(INTERRUPTED)
    raise typer.Exit(code or int(totals.failed + totals.skipped > 0))


def _dry_run(options: Options, *, quiet: bool, as_json: bool) -> int:
    """Print what a run would do.

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
    """Write the requested report page.

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
