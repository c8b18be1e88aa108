"""`dggn-export`: checkpoints to ONNX, ONNX to TensorRT and Triton, and a look into them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.errors import Cancelled, ConfigError
from runtime.model.info import DEFAULT_MODEL, GPU_DEFAULT_MODEL, gpu_default
from runtime.system.package import require, version_option
from runtime.system.terminal import INTERRUPTED, errors_reported, show_progress

NOTHING_WRITTEN = "interrupted; nothing was written"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main(version: Annotated[bool, version_option()] = False) -> None:
    """Export trained generators to ONNX, TensorRT and Triton."""


@app.command()
def onnx(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Shipped model, checkpoint (ours, or any that spandrel reads: dggn[community]), "
            f"or exported model [default: {DEFAULT_MODEL}].",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Output file [default: SOURCE.onnx].")
    ] = None,
    io: Annotated[
        Literal["float32", "uint8"],
        typer.Option(help="float32: NCHW in [0, 1]; uint8: NHWC in [0, 255], rounded inside."),
    ] = "float32",
    weights: Annotated[
        Literal["float32", "float16", "int8", "int4"],
        typer.Option(
            help="Storage type of weights; the graph computes in float32 with any. int4 needs "
            "--pictures."
        ),
    ] = "float32",
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="With int4: pictures as the model will enlarge them, whose results are to change "
            "least.",
        ),
    ] = None,
    halo: Annotated[
        int | None, typer.Option(help="Context that tiles need, in LR pixels.", min=0)
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Origin of the weights [default: the file name].")
    ] = None,
    blend: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            metavar="A B SHARE",
            help="Instead of SOURCE: interpolate the weights of two models with one structure; "
            "SHARE 0.8 is 0.8 * A + 0.2 * B.",
        ),
    ] = None,
    keep_colours: Annotated[
        bool,
        typer.Option(
            "--keep-colours",
            help="Make the network keep local mean colours, if it was trained without that.",
        ),
    ] = False,
) -> None:
    """Write an ONNX file, and keep it if it matches the PyTorch module."""
    with errors_reported("dggn-export", interrupted=NOTHING_WRITTEN):
        require("torch", "safetensors", "onnx", "onnxscript", "onnxruntime", extra="export")
        from export.graph import default_halo_px
        from export.write import ExportOptions, read_generator, with_colours_kept, write_onnx

        # The exporter's own notes are about operators that no generator uses.
        for library in ("torch.onnx", "onnxscript"):
            logging.getLogger(library).setLevel(logging.ERROR)
        if blend and source:
            raise ConfigError(f"{source} and --blend exclude each other: leave one out")
        if (weights == "int4") != (pictures is not None):
            raise ConfigError("--weights int4 and --pictures go together: give both, or neither")
        sources = blend[:2] if blend else (source or DEFAULT_MODEL,)
        target = output or Path("blend.onnx" if blend else f"{Path(sources[0]).stem}.onnx")
        if target.suffix != ".onnx":
            raise ConfigError(f"{target} does not end in .onnx: name a file that does")
        for one in sources:
            if target.exists() and Path(one).exists() and target.samefile(one):
                raise ConfigError(f"{target} is the source itself: name another --output")
        if not blend:
            generator, described = read_generator(sources[0]), Path(sources[0]).name
            if keep_colours:
                generator = with_colours_kept(generator, described)
        else:
            from export.blend import read_blend

            generator, described = read_blend(*blend, keep_colours=keep_colours)
        options = ExportOptions(
            sample_type=io,
            weights=weights,
            halo_px=default_halo_px(generator) if halo is None else halo,
            origin=origin or described,
        )
        if pictures:
            from export.compensate import compensate
            from export.sample_tiles import sample_tiles

            compensate(generator, sample_tiles(pictures))
        comparison = write_onnx(generator, target, options)
    typer.echo(f"{target}: verified against torch, {comparison}")


@app.command()
def trt(
    fp16: Annotated[bool, typer.Option("--fp16", help="The same as --precision fp16.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="The same as --precision int8.")] = False,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        typer.Option(
            help="fp16: mixed with float32 where necessary; int8: for a model from "
            "`dggn-calibrate --target tensorrt` [default: fp16].",
            show_default=False,
        ),
    ] = None,
    onnx: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|URL",
            help="Shipped model, ONNX file or its https URL "
            f"[default: {GPU_DEFAULT_MODEL}; in INT8 {DEFAULT_MODEL}].",
            show_default=False,
        ),
    ] = None,
    io: Annotated[
        Literal["uint8", "float32"],
        typer.Option(help="uint8: bytes in and out; float32: for 16-bit pictures."),
    ] = "uint8",
    flavor: Annotated[
        Literal["tensorrt", "tensorrt-rtx", "auto"],
        typer.Option(help="TensorRT flavor; auto prefers the classic one if installed."),
    ] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PX",
            help="Largest tile, in input pixels per side [default: 256, or more for models "
            "with a large overlap].",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Largest batch of tiles.")] = 4,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="SM,...",
            help="Compute capabilities to build for, for example sm86,sm89,sm120; needs "
            "TensorRT-RTX, but no GPU [default: this machine's GPU].",
        ),
    ] = None,
    device: Annotated[int, typer.Option(min=0, help="CUDA device index.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Output file, ending in .engine [default: the cache]."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Build even if there is a current engine.")
    ] = False,
) -> None:
    """Build a TensorRT engine, and keep it if it reproduces the model's results.

    The engine is built for this machine's GPU and stored in a per-user cache, where dggn-run finds
    it. A JSON file beside it records its origin.
    """
    with errors_reported("dggn-export"):
        chosen = _precision(precision, fp16=fp16, int8=int8)
        from export.trt.builder.interrupt import exit_process
        from export.trt.command import build_or_reuse, model_file, read_model
        from export.trt.targets import choose_targets
        from runtime.backends.trt.engine_file import SUFFIX
        from runtime.backends.trt.request import EngineRequest
        from runtime.report.console import fetched_model
        from runtime.tiles.plan import default_tile_px

        if output is not None and output.suffix != SUFFIX:
            raise ConfigError(f"{output} does not end in {SUFFIX}: name a file that does")
        name = onnx or gpu_default("int8" if chosen == "int8" else None)
        file = model_file(fetched_model(name), chosen)
        names = [name.strip().lower() for name in target.split(",")] if target else []
        targets = choose_targets(names, flavor, device)
        source = read_model(file, targets.flavor)
        request = EngineRequest(
            flavor=targets.flavor,
            precision=chosen,
            sample_type=io,
            tile_px=default_tile_px(source.info.halo_px) if tile is None else tile,
            batch=batch,
            targets=targets.names,
        )
        try:
            with show_progress(transient=True) as (say, on_progress):
                built = build_or_reuse(
                    source,
                    request,
                    targets.gpu,
                    output=output,
                    force=force,
                    say=say,
                    on_progress=on_progress,
                )
        except (Cancelled, KeyboardInterrupt):
            typer.echo(NOTHING_WRITTEN, err=True)
            exit_process(INTERRUPTED)
    word = "built with" if built.was_built else "up to date, built with"
    facts = built.facts
    largest = facts.largest_activation
    values = "" if largest is None else f"; activations up to {largest:.4g} of float16's 65504"
    typer.echo(
        f"{built.path}: {word} {built.library_name} for {', '.join(facts.request.targets)} in "
        f"{facts.precision}, {facts.plan_bytes / 1e6:.1f} MB; {facts.status}{values}"
    )


def _precision(
    chosen: Literal["fp32", "fp16", "int8"] | None, *, fp16: bool, int8: bool
) -> Literal["fp32", "fp16", "int8"]:
    asked = {chosen} if chosen else set()
    asked |= {"fp16"} if fp16 else set()
    asked |= {"int8"} if int8 else set()
    if len(asked) > 1:
        raise ConfigError(
            f"{' and '.join(sorted(asked))} were both requested: choose one precision"
        )
    return asked.pop() if asked else "fp16"


@app.command()
def triton(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Shipped model, float32 ONNX file or its https URL."),
    ] = DEFAULT_MODEL,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the repository, new or empty.")
    ] = Path("repo"),
    batch: Annotated[int, typer.Option(min=1, help="Largest batch of tiles.")] = 8,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PX",
            help="Tiles that clients send, in input pixels per side [default: as dggn-run's].",
            show_default=False,
        ),
    ] = None,
    instances: Annotated[
        int, typer.Option(min=1, help="Model instances on each GPU, which run in parallel.")
    ] = 1,
) -> None:
    """Write a model repository for the Triton Inference Server, with a README and a client.

    It holds the model for the ONNX Runtime backend, and the graph from which an engine for the
    TensorRT backend is built. Both take and return uint8 NHWC, of any height and width.
    """
    with errors_reported("dggn-export", interrupted=NOTHING_WRITTEN):
        require("onnx", "onnxruntime", extra="export")
        from export.triton.repository import RepositoryOptions, write_repository
        from runtime.model.info import model_path
        from runtime.report.console import fetched_model

        options = RepositoryOptions(batch=batch, tile_px=tile, instances=instances)
        served = write_repository(model_path(fetched_model(model)), output, options)
    typer.echo(
        f"{output}: {served.name} for the backends onnxruntime and tensorrt; see "
        f"{output / 'README.md'} for how to start a server"
    )


@app.command()
def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Shipped model, ONNX file or its https URL, or engine."
        ),
    ],
) -> None:
    """Describe a model or an engine."""
    with errors_reported("dggn-export"):
        from export.describe import describe, describe_engine

        if file.endswith(".engine"):
            facts = describe_engine(Path(file))
        else:
            require("onnx", "onnxruntime", extra="export")
            from runtime.model.info import model_path
            from runtime.report.console import fetched_model

            facts = describe(model_path(fetched_model(file)))
    width = max(map(len, facts))
    for label, fact in facts.items():
        typer.echo(f"{label:<{width}}  {fact}")


@app.command()
def traffic(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Shipped models or float32 ONNX files.")
    ],
) -> None:
    """Print the GPU memory traffic of models' TensorRT engines, as Markdown.

    TensorRT-RTX builds the engines for an RTX 4090; no GPU is needed. Bytes are for mixed
    precision and tiles of 256 px.
    """
    with errors_reported("dggn-export"):
        from export.trt.passes.source import read_source
        from export.trt.traffic.measure import measure_traffic
        from export.trt.traffic.table import traffic_table
        from runtime.backends.trt.library import find_library
        from runtime.model.info import model_path

        library = find_library("tensorrt-rtx")
        require("onnx", "onnxruntime", extra="rtx")
        measured = {
            name: measure_traffic(read_source(model_path(name)), library) for name in models
        }
    typer.echo(traffic_table(measured))
