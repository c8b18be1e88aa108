"""The command `dggn-train`: prepares pictures, trains generators, plots runs."""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from dggn.training.campaign.command import campaign
from runtime.errors import Cancelled, ConfigError
from runtime.system.package import require, version_option
from runtime.system.terminal import errors_reported

if TYPE_CHECKING:
    from dggn.training.config import TrainConfig

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a run after its current step."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main(version: Annotated[bool, version_option()] = False) -> None:
    """Prepare pictures, train generators, and plot training curves."""


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of HR pictures.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to fill.")],
    size: Annotated[int, typer.Option(help="Side of a sub-image in pixels.")] = 480,
    step: Annotated[int, typer.Option(help="Distance between adjacent sub-images.")] = 240,
    scales: Annotated[
        list[float] | None,
        typer.Option(
            "--scale",
            help="Scale at which every picture is cut; repeatable [default: 1].",
        ),
    ] = None,
) -> None:
    """Cut training pictures into sub-images, and reduce these, once.

    Interrupt with Ctrl-C, and resume with the same command; up-to-date work is kept.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from dggn.data.prepared import PrepareOptions
    from dggn.training.prepare import prepare as prepare_folder
    from dggn.training.prepare import show_sources

    resume = f"stopped; run the same command to resume ({target})"
    with errors_reported("dggn-train", interrupted=resume):
        options = PrepareOptions(size_px=size, step_px=step, scales=tuple(scales or [1.0]))
        with show_sources(sys.stderr) as on_source:
            manifest = prepare_folder(source, target, options, on_source=on_source)
    bad = [one for one in manifest.sources if one.problem]
    for one in bad:
        typer.echo(f"skipped {one.name}: {one.problem}", err=True)
    count = sum(len(one.sub_images) for one in manifest.sources)
    typer.echo(f"{count} sub-images of {len(manifest.sources) - len(bad)} pictures in {target}")
    if bad:
        raise typer.Exit(1)


@app.command()
def teach(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of photographs.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to fill.")],
    teacher: Annotated[
        Path,
        typer.Option(help="x4 network: ONNX file, our checkpoint, or one that spandrel reads."),
    ],
    count: Annotated[int, typer.Option(help="Number of pairs in the set.", min=1)] = 1000,
    size: Annotated[int, typer.Option(help="Side of an LR picture in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.", min=0)] = 0,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Only reduce, by antialiased bicubic as in the benchmarks."),
    ] = False,
    unreduced: Annotated[
        float | None,
        typer.Option(
            help="Fraction of LR pictures cut at the source's own size; 0.2 by default, 0 with "
            "--clean."
        ),
    ] = None,
    graphics: Annotated[
        float, typer.Option(help="Fraction of LR pictures that are drawn: text, windows, charts.")
    ] = 0.1,
    backend: Annotated[
        str, typer.Option(help="Inference library for an ONNX teacher, as in dggn-run.")
    ] = "auto",
) -> None:
    """Make LR pictures, realistic or clean, with a teacher's results, once.

    A run learns from them with target = "teacher" in its [data]. Interrupt with Ctrl-C, and
    resume with the same command or a larger --count; complete pairs are kept.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from dggn.data.taught import TeachOptions
    from dggn.training.teach import read_sources
    from dggn.training.teach import teach as teach_pairs
    from dggn.training.teacher import open_teacher
    from runtime.model.info import file_sha256
    from runtime.system.terminal import show_progress

    resume = f"stopped; run the same command to resume ({target})"
    with errors_reported("dggn-train", interrupted=resume):
        if unreduced is None:
            unreduced = 0.0 if clean else 0.2
        options = TeachOptions(
            size_px=size, seed=seed, unreduced=unreduced, graphics=graphics, clean=clean
        )
        sources = read_sources(source)
        with open_teacher(teacher, backend) as enlarge, show_progress() as (_, on_progress):
            taught = teach_pairs(
                sources,
                target,
                options,
                count,
                teacher=enlarge,
                teacher_sha256=file_sha256(teacher),
                on_progress=on_progress,
            )
    typer.echo(f"{len(taught.pairs)} pairs in {target}")


@app.command()
def run(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Shipped recipe (psnr, gan, lite, lite-photo, photo, ablation-psnr, "
            "ablation-gan) or a TOML file.",
        ),
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of the run; an unfinished run resumes.")
    ],
    train_folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--train", help="Folder of HR pictures, or one filled by `prepare`; repeatable."
        ),
    ] = None,
    validation_folders: Annotated[
        list[Path] | None,
        typer.Option("--validation", help="Folder of HR pictures to validate on; repeatable."),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Initial weights: generator checkpoint, exported or shipped model, or folder of "
            "a run.",
        ),
    ] = None,
    perceptual_weights: Annotated[
        Path | None,
        typer.Option(help="Weights file of the recipe's perceptual network."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            help="Training time that ends the run early, with its schedule completed; reading "
            "pictures and the last validation do not count."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto (a GPU if available), cpu, cuda or cuda:1.")
    ] = "auto",
    precision: Annotated[
        str | None,
        typer.Option(metavar="bf16|fp32", help="Precision; the recipe's by default."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Loader threads per process.", min=1)] = 2,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the generator: starts slower, runs faster.")
    ] = False,
    resident: Annotated[
        bool,
        typer.Option(
            "--resident", help="Keep all pictures in the device's memory and cut crops there."
        ),
    ] = False,
) -> None:
    """Train a generator; interrupt with Ctrl-C, and resume with the same command.

    The folder of the run then holds generator.safetensors (the result so far), state.safetensors
    (the state to resume from), log.jsonl and tensorboard/ (the log) and samples/ (pictures).
    Several GPUs: torchrun --nproc-per-node 4 --no-python dggn-train run ...
    """
    # SIGTERM interrupts like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    resume = f"stopped; run the same command to resume ({folder})"
    with errors_reported("dggn-train", interrupted=resume):
        config = _config(recipe, train_folders or [], validation_folders or [])
        config = replace(
            config,
            initial=config.initial if initial is None else str(initial),
            steps=config.steps if steps is None else steps,
            max_minutes=config.max_minutes if max_minutes is None else max_minutes,
            compile=config.compile or compiled,
            precision=config.precision if precision is None else precision,
            data=replace(config.data, resident=config.data.resident or resident),
        )
        if perceptual_weights:
            perceptual = replace(config.perceptual, weights=str(perceptual_weights))
            config = replace(config, perceptual=perceptual)
        complete = _train(config, folder, device, workers)
        if not complete:
            raise Cancelled


@app.command()
def plot(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Output PNG [default: RUN/curves.png]."),
    ] = None,
) -> None:
    """Plot the curves of a run: loss terms, critics, learning rate, PSNR and SSIM."""
    with errors_reported("dggn-train"):
        require("matplotlib", extra="train")
        from dggn.training.log import read_log
        from dggn.training.plot import CURVES_NAME, draw_curves

        target = output or folder / CURVES_NAME
        draw_curves(read_log(folder), target, title=folder.name)
    typer.echo(target)


app.command()(campaign)


def _config(recipe: str, train_folders: list[Path], validation_folders: list[Path]) -> TrainConfig:
    from dggn.training.config import read_config

    config = read_config(recipe)
    config = config.with_data(
        tuple(map(str, train_folders)) or config.data.train,
        tuple(map(str, validation_folders)) or config.data.validation,
    )
    if not config.data.train:
        raise ConfigError("no training pictures: name a folder with --train")
    return config


def _train(config: TrainConfig, folder: Path, device: str, workers: int) -> bool:
    require("torch", "safetensors", extra="train")
    from dggn.data.pairs import read_pairs
    from dggn.training.allocator import keep_freed_memory
    from dggn.training.batches import open_batches
    from dggn.training.bfloat16 import FASTER, SLOW, is_bfloat16_slow
    from dggn.training.parallel import open_process
    from dggn.training.progress import show_training
    from dggn.training.state import WEIGHTS_NAME, TrainingState
    from dggn.training.trainer import Trainer

    keep_freed_memory()
    with open_process(device) as process:
        state = TrainingState.open(folder, config, process.device)
        pictures = read_pairs(
            [Path(name) for name in config.data.train],
            target=config.data.target,
            originals=config.data.originals,
        )
        validation = read_pairs([Path(name) for name in config.data.validation])
        with open_batches(config.data, config.seed, pictures, process, workers) as batches:
            say = partial(typer.echo, err=True) if process.is_first else lambda line: None
            trainer = Trainer(state, batches, validation, folder, process, say)
            if process.is_first:
                typer.echo(
                    f"{len(pictures)} training and {len(validation)} validation pictures on "
                    f"{process.device}; step {state.step}, {state.elapsed_s / 60:.1f} min done",
                    err=True,
                )
                if config.precision == "bf16" and is_bfloat16_slow(process.device):
                    typer.echo(SLOW + FASTER * (not state.step), err=True)

            # From here on an interruption ends the step and saves, instead of the process.
            interrupted = False

            def stop(number: int, frame: FrameType | None) -> None:
                nonlocal interrupted
                interrupted = True

            before = {number: signal.signal(number, stop) for number in STOPPING}
            try:
                with show_training(sys.stderr) as progress:
                    complete = trainer.run(progress=progress, should_stop=lambda: interrupted)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
            if complete and process.is_first:
                typer.echo(folder / WEIGHTS_NAME)
            return complete
