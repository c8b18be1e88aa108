"""`dggn-eval`: measure a model on a folder of pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.errors import DggnError
from runtime.extras import require
from runtime.version import version_option

if TYPE_CHECKING:
    from dggn.metrics.evaluate import Fidelity, PathPair, PictureResult, SuperResolve

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped name (dggn-lite), an ONNX file, or a generator checkpoint "
            "(.safetensors)."
        ),
    ],
    hr_folder: Annotated[Path, typer.Argument(metavar="HR_DIR", help="Folder of HR pictures.")],
    lr_folder: Annotated[
        Path | None,
        typer.Option(
            "--lr",
            metavar="LR_DIR",
            help="Folder of their x4 reductions, of the same names; made by antialiased bicubic "
            "reduction when left out.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; PSNR is null where pictures are equal.")
    ] = False,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Measure PSNR and SSIM of a model on Y, border 4, beside bicubic enlargement."""
    try:
        _evaluate(model, hr_folder, lr_folder, as_json)
    except DggnError as error:
        typer.echo(f"dggn-eval: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None


def _evaluate(model: str, hr_folder: Path, lr_folder: Path | None, as_json: bool) -> None:
    from dggn.metrics.evaluate import evaluate, path_pairs

    pairs = path_pairs(hr_folder, lr_folder)
    with _opened(model) as super_resolve:
        results = evaluate(super_resolve, pairs)
        if as_json:
            typer.echo(json.dumps(_report(model, list(results)), indent=2))
        else:
            _print_table(pairs, results)


@contextmanager
def _opened(model: str) -> Iterator[SuperResolve]:
    if not model.endswith(".safetensors"):
        from runtime.upscaler import Upscaler

        with Upscaler(model=model) as upscaler:
            yield upscaler
        return
    require("torch", "safetensors", extra="train")
    from dggn.model.checkpoint import load_generator
    from dggn.model.picture import super_resolve

    generator = load_generator(Path(model))
    yield lambda image_hwc: super_resolve(generator, image_hwc)


def _print_table(pairs: list[PathPair], results: Iterator[PictureResult]) -> None:
    """Print every picture's line as soon as it is measured."""
    from dggn.metrics.evaluate import mean

    width = max(len("picture"), *(len(pair.hr.name) for pair in pairs))
    typer.echo(f"{'picture':<{width}}  PSNR (dB)    SSIM  bicubic: PSNR (dB)    SSIM")

    def line(name: str, model: Fidelity, bicubic: Fidelity) -> None:
        typer.echo(
            f"{name:<{width}}  {model.psnr_db:9.3f}  {model.ssim:6.4f}  "
            f"{bicubic.psnr_db:18.3f}  {bicubic.ssim:6.4f}"
        )

    done = []
    for result in results:
        line(result.name, result.model, result.bicubic)
        done.append(result)
    line("mean", mean([one.model for one in done]), mean([one.bicubic for one in done]))


def _report(model: str, results: list[PictureResult]) -> dict[str, Any]:
    from dggn.metrics.evaluate import mean
    from dggn.metrics.fidelity import BORDER_PX

    return {
        "model": model,
        "channel": "Y",
        "border_px": BORDER_PX,
        "pictures": [
            {"name": one.name, "model": _figures(one.model), "bicubic": _figures(one.bicubic)}
            for one in results
        ],
        "mean": {
            "model": _figures(mean([one.model for one in results])),
            "bicubic": _figures(mean([one.bicubic for one in results])),
        },
    }


def _figures(fidelity: Fidelity) -> dict[str, float | None]:
    # JSON has no infinity.
    psnr_db = fidelity.psnr_db if fidelity.psnr_db != float("inf") else None
    return {"psnr_db": psnr_db, "ssim": fidelity.ssim}
