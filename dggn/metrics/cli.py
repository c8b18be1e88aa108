"""The command `dggn-eval`: quality, cost and visual comparison of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.errors import ConfigError
from runtime.system.package import version_option
from runtime.system.terminal import errors_reported

if TYPE_CHECKING:
    from dggn.metrics.evaluate import Metric, PictureScores
    from dggn.metrics.report import BenchmarkResult

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON; infinite PSNR is null.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, a line for each picture.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the means as Markdown.")]
Perceptual = Annotated[
    bool, typer.Option("--perceptual", help="Add LPIPS, NIQE and PI (needs dggn[metrics]).")
]
Features = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Add the SqueezeNet feature distance, with weights from this .npz file.",
    ),
]
Niqe = Annotated[
    Path | None,
    typer.Option(
        "--niqe",
        metavar="FILE",
        help="Add NIQE, with its published parameters from this .npz file; needs no extra.",
    ),
]

MODELS_HELP = (
    "Shipped model (for example dggn-lite), ONNX file or its https URL, checkpoint (.safetensors, "
    ".pth), or 'bicubic'."
)


@app.callback()
def main(version: Annotated[bool, version_option()] = False) -> None:
    """Measure pictures and models as published tables do: PSNR and SSIM on Y, border 4."""


@app.command()
def images(
    hr_folder: Annotated[Path, typer.Argument(metavar="HR_DIR", help="Folder of HR pictures.")],
    sr_folder: Annotated[
        Path, typer.Argument(metavar="SR_DIR", help="Folder of results with the same names.")
    ],
    perceptual: Perceptual = False,
    features: Features = None,
    niqe: Niqe = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_markdown: Markdown = False,
) -> None:
    """Measure pictures from any program."""
    with errors_reported("dggn-eval"):
        from dggn.metrics.evaluate import evaluate_images
        from dggn.metrics.report import BenchmarkResult

        form = _form(as_json, as_csv, as_markdown)
        results = evaluate_images(hr_folder, sr_folder, _metrics(perceptual, features, niqe))
        done = _shown(hr_folder.resolve().name, results, form)
        name = sr_folder.resolve().name
        _print(name, [BenchmarkResult(benchmark=hr_folder.resolve().name, pictures=done)], form)


@app.command()
def model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODELS_HELP)],
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR", help="More benchmark folders.")
    ] = None,
    benchmarks: Annotated[
        list[Path] | None,
        typer.Option(
            "--benchmark",
            metavar="DIR",
            help="Folder with HR/ and LR_x4/, or with HR pictures only, to be reduced by "
            "antialiased bicubic; repeatable.",
        ),
    ] = None,
    perceptual: Perceptual = False,
    features: Features = None,
    niqe: Niqe = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_markdown: Markdown = False,
) -> None:
    """Measure a model on benchmarks."""
    with errors_reported("dggn-eval"):
        from dggn.metrics.evaluate import evaluate, find_benchmark
        from dggn.metrics.report import BenchmarkResult
        from dggn.metrics.systems import open_system, system_name

        form = _form(as_json, as_csv, as_markdown)
        folders = [*(benchmarks or []), *(more or [])]
        if not folders:
            raise ConfigError("no benchmark: name a folder with --benchmark")
        found = [find_benchmark(folder) for folder in folders]
        metrics = _metrics(perceptual, features, niqe)
        finished = []
        with open_system(model) as super_resolve:
            for benchmark in found:
                results = evaluate(super_resolve, benchmark.pairs, metrics)
                done = _shown(benchmark.name, results, form)
                finished.append(BenchmarkResult(benchmark=benchmark.name, pictures=done))
        _print(system_name(model), finished, form)


@app.command()
def complexity(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Presets (dggn, dggn-lite, and both with -photo), ONNX files or checkpoints "
            "[default: the presets].",
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Size of the LR picture.")
    ] = "50x50",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Count parameters, GFLOPs and receptive field, beside the paper's Table 4."""
    with errors_reported("dggn-eval"):
        from dggn.metrics.costs import costs_of, costs_report, parse_size

        size_hw = parse_size(size)
        form = _form(as_json, False, as_markdown)
        typer.echo(costs_report(costs_of(models or [], size_hw), size_hw, form), nl=False)


@app.command()
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help=MODELS_HELP)],
    pictures: Annotated[
        list[Path],
        typer.Option("--images", metavar="FILE", help="HR picture; repeatable, one row each."),
    ],
    crops: Annotated[
        list[str] | None,
        typer.Option(
            "--crop",
            metavar="X,Y,W,H",
            help="Crop of each picture, in HR pixels [default: the centre].",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Output PNG.")] = Path(
        "comparison.png"
    ),
) -> None:
    """Draw crops of several models' results side by side, with names and scores (Figure 4)."""
    with errors_reported("dggn-eval"):
        from dggn.metrics.compare import comparison_rows, draw_comparison, save_png

        rows = comparison_rows(models, pictures, crops or [])
        save_png(output, draw_comparison(rows))
        typer.echo(f"wrote {output}")


@app.command()
def realistic(
    hr_folder: Annotated[Path, typer.Argument(metavar="HR_DIR", help="Folder of photographs.")],
    models: Annotated[
        list[str],
        typer.Option("--model", metavar="MODEL", help=f"{MODELS_HELP} Repeatable."),
    ],
    perceptual: Perceptual = False,
    features: Features = None,
    niqe: Niqe = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the degradations.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="New folder to keep the pictures in: HR/, LR_x4/ and one per model.",
        ),
    ] = None,
) -> None:
    """Measure models on realistic photographs: reduced, noisy, saved as JPEG.

    Prints a Markdown table, bicubic interpolation first and the originals last.
    """
    with errors_reported("dggn-eval"):
        from dggn.metrics.realistic import RealisticSet, measure_realistic
        from dggn.metrics.report import markdown_header, markdown_line

        metrics = _metrics(perceptual, features, niqe)
        pictures = RealisticSet(hr_folder, seed)
        benchmark = f"{hr_folder.resolve().name}, realistic, seed {seed}"
        results = measure_realistic(pictures, models, metrics, benchmark=benchmark, output=output)
        for number, (name, result) in enumerate(results):
            if not number:
                typer.echo(markdown_header(list(metrics)), nl=False)
            typer.echo(markdown_line(name, result), nl=False)


@app.command()
def page(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of LR pictures.")],
    models: Annotated[
        list[str],
        typer.Option("--model", metavar="MODEL", help=f"{MODELS_HELP} Twice: left, right."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output page.")] = Path(
        "page.html"
    ),
) -> None:
    """Write an HTML page that compares two models' results with a slider."""
    with errors_reported("dggn-eval"):
        from dggn.metrics.page import write_page

        if len(models) != 2:
            raise ConfigError(f"a page shows two models: expected two --model, not {len(models)}")
        count = write_page(output, folder, (models[0], models[1]))
        typer.echo(f"wrote {output} with {count} pictures")


def _form(as_json: bool, as_csv: bool, as_markdown: bool) -> str:
    chosen = {"json": as_json, "csv": as_csv, "markdown": as_markdown}
    forms = [name for name, wanted in chosen.items() if wanted]
    if len(forms) > 1:
        raise ConfigError(f"{' and '.join(f'--{name}' for name in forms)} exclude each other")
    return forms[0] if forms else "table"


def _metrics(perceptual: bool, features: Path | None, niqe: Path | None) -> Mapping[str, Metric]:
    from dggn.metrics.evaluate import FIDELITY

    metrics = dict(FIDELITY)
    if perceptual:
        from dggn.metrics.perceptual import perceptual_metrics

        metrics |= perceptual_metrics()
    if features:
        from dggn.metrics.features import feature_distance

        metrics["features"] = feature_distance(features)
    if niqe:
        from dggn.metrics.niqe import niqe_metric

        metrics["niqe"] = niqe_metric(niqe)
    return metrics


def _shown(
    benchmark: str, results: Iterator[PictureScores], form: str
) -> tuple[PictureScores, ...]:
    """Collect all results; in a table, each picture's line is printed once measured."""
    if form != "table":
        return tuple(results)
    from dggn.metrics.evaluate import mean
    from dggn.metrics.report import table_header, table_line

    done: list[PictureScores] = []
    for result in results:
        if not done:
            typer.echo(f"{benchmark}\n{table_header(list(result.scores))}")
        typer.echo(table_line(result.name, result.scores))
        done.append(result)
    typer.echo(table_line("mean", mean(done)) + "\n")
    return tuple(done)


def _print(system: str, results: list[BenchmarkResult], form: str) -> None:
    from dggn.metrics.report import as_csv, as_json, as_markdown

    forms = {"json": as_json, "csv": as_csv, "markdown": as_markdown}
    if form in forms:
        typer.echo(forms[form](system, results), nl=False)
