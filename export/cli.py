"""`dggn-export`: checkpoint to ONNX, and what is inside a model file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.errors import ConfigError, DggnError
from runtime.model_info import DEFAULT_MODEL
from runtime.version import version_option

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main(version: Annotated[bool, version_option()] = False) -> None:
    """Turn trained generators into files that other programs run."""


@app.command()
def onnx(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A shipped model's name, a checkpoint (ours, or of what spandrel knows: "
            f"dggn[community]), or an exported model [default: {DEFAULT_MODEL}].",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file [default: SOURCE.onnx].")
    ] = None,
    io: Annotated[
        Literal["float32", "uint8"],
        typer.Option(help="float32: NCHW in [0, 1]; uint8: NHWC in [0, 255], rounded inside."),
    ] = "float32",
    weights: Annotated[
        Literal["float32", "float16"],
        typer.Option(help="How weights are stored; the graph computes in float32 either way."),
    ] = "float32",
    halo: Annotated[
        int | None, typer.Option(help="LR pixels of context that tiles need.", min=0)
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Where the weights come from [default: its file name].")
    ] = None,
    blend: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            metavar="A B SHARE",
            help="Instead of SOURCE: SHARE of A's weights and the rest of B's, two models of one "
            "structure; 0.8 is 0.8 * A + 0.2 * B.",
        ),
    ] = None,
) -> None:
    """Write an ONNX file, kept only when it computes what the torch module does."""
    from runtime.extras import require

    try:
        require("torch", "safetensors", "onnx", "onnxscript", "onnxruntime", extra="export")
        from export.graph import default_halo_px
        from export.write import ExportOptions, read_generator, write_onnx

        # The exporter's own notes are about operators that no generator uses.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        if blend and source:
            raise ConfigError(f"{source} and --blend exclude each other: leave out one")
        sources = blend[:2] if blend else (source or DEFAULT_MODEL,)
        target = output or Path("blend.onnx" if blend else f"{Path(sources[0]).stem}.onnx")
        if target.suffix != ".onnx":
            raise ConfigError(f"{target} does not end in .onnx: name a file that does")
        for one in sources:
            if target.exists() and Path(one).exists() and target.samefile(one):
                raise ConfigError(f"{target} is the source itself: name another --output")
        if not blend:
            generator, described = read_generator(sources[0]), Path(sources[0]).name
        else:
            from export.blend import read_blend

            generator, described = read_blend(*blend)
        options = ExportOptions(
            sample_type=io,
            weights=weights,
            halo_px=default_halo_px(generator) if halo is None else halo,
            origin=origin or described,
        )
        comparison = write_onnx(generator, target, options)
    except DggnError as error:
        typer.echo(f"dggn-export: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(f"{target}: verified against torch, {comparison}")


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="A shipped model's name or an exported model.")],
) -> None:
    """Print what a person wants to know of a model."""
    from runtime.extras import require

    try:
        require("onnx", extra="export")
        from export.describe import describe
        from runtime.model_info import model_path

        facts = describe(model_path(file))
    except DggnError as error:
        typer.echo(f"dggn-export: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    width = max(map(len, facts))
    for label, fact in facts.items():
        typer.echo(f"{label:<{width}}  {fact}")
