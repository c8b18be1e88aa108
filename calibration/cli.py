"""The command `dggn-calibrate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.model.info import DEFAULT_MODEL, INT8_SUFFIX
from runtime.system.package import load, require, version_option
from runtime.system.terminal import errors_reported, show_steps

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

GATES_FAILED = 1
RESUME = "interrupted; run the same command to resume"


@app.command()
def calibrate(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", help="Folder of photographs like those to enlarge, at full size."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE|URL",
            help="A shipped model, or an ONNX file written by dggn-export, or its https URL.",
        ),
    ] = DEFAULT_MODEL,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="HR_DIR",
            help="Photographs to measure the gates on [default: every fifth of IMAGES].",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Output file [default: MODEL-int8.onnx]."),
    ] = None,
    target: Annotated[
        Literal["cpu", "tensorrt"], typer.Option(help="Platform that will run the INT8 model.")
    ] = "cpu",
    method: Annotated[
        Literal["minmax", "percentile", "entropy"],
        typer.Option(help="Method of choosing activation ranges."),
    ] = "percentile",
    max_drop_db: Annotated[
        float, typer.Option(min=0, help="Maximum PSNR drop against HR (dB, Y channel).")
    ] = 0.1,
    max_seam: Annotated[
        int,
        typer.Option(
            min=0,
            max=255,
            metavar="LEVELS",
            help="Maximum tiled/untiled difference, in 8-bit levels; 255 for any.",
        ),
    ] = 1,
    max_halo: Annotated[
        int,
        typer.Option(
            min=0,
            max=512,
            metavar="PX",
            help="Largest overlap to try, in pixels; 0 for that of the float32 model.",
        ),
    ] = 64,
    tiles: Annotated[int, typer.Option(min=1, help="Number of tiles to calibrate on.")] = 64,
    tile: Annotated[
        int, typer.Option(min=1, metavar="PX", help="Tile side, after the x4 reduction.")
    ] = 48,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Keep layers in float whose names start with NAME; repeatable."
        ),
    ] = None,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Quantize a model to INT8, within bounds on fidelity and seams.

    The photographs are reduced four times, as in training; ranges are observed on tiles of the
    results. Layers return to float until neither the PSNR against the originals nor the seams
    between tiles are worse than allowed. Beside the output go a report (.md, .png), the list
    of tiles (.tiles.json) and the measurements (.ledger.json): run the same command to resume a
    stopped calibration.

    Exit codes: 0, written; 1, no INT8 model passes the gates, or a picture cannot be read; 2, the
    arguments are invalid; 3, something is missing on this machine; 130, interrupted.
    """
    # ONNX Runtime's quantizer logs advice that does not apply to these graphs.
    logging.basicConfig(level=logging.ERROR, format="dggn-calibrate: %(message)s")
    with errors_reported("dggn-calibrate", interrupted=RESUME):
        require("onnx", extra="calibrate")
        load("onnxruntime", extra="calibrate")
        from calibration.calibrate import calibrate as run
        from calibration.options import CalibrationOptions
        from runtime.errors import ConfigError
        from runtime.model.info import model_path
        from runtime.report.console import fetched_model

        path = model_path(fetched_model(model))
        target_file = output or Path(f"{path.stem}{INT8_SUFFIX}.onnx")
        if target_file.suffix != ".onnx":
            raise ConfigError(f"{target_file} does not end in .onnx: name a file that does")
        options = CalibrationOptions(
            target=target,
            method=method,
            max_drop_db=max_drop_db,
            max_seam_levels=max_seam,
            max_halo_px=max_halo,
            tiles=tiles,
            tile_px=tile,
            keep_float=tuple(keep_float or ()),
        )
        with show_steps() as on_progress:
            findings = run(
                path, images, target_file, options, validation=validation, on_progress=on_progress
            )
    report = target_file.with_suffix(".md")
    best = findings.outcome.best
    if not findings.passes:
        typer.echo(
            f"dggn-calibrate: no INT8 mix passes the gates; {report} says which layers prevent "
            "it. The model was not written",
            err=True,
        )
        raise typer.Exit(GATES_FAILED)
    typer.echo(
        f"{target_file}: {len(best.layers)} of {len(findings.layers)} layers in INT8, "
        f"PSNR drop {findings.outcome.drop_db:.3f} dB, "
        f"largest seam {best.seam_levels:.2f} 8-bit levels at an overlap of {best.halo_px} px; "
        f"see {report}"
    )
