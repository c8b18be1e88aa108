"""`dggn-train`: prepare pictures, train generators, draw how it went."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from runtime.errors import ConfigError, DggnError
from runtime.extras import require
from runtime.version import version_option

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def main(version: Annotated[bool, version_option()] = False) -> None:
    """Prepare pictures, train generators on them, and draw how it went."""


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of HR pictures.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to fill.")],
) -> None:
    """Cut training pictures into sub-images with their reductions."""
    from dggn.training.prepare import prepare as prepare_folder

    try:
        prepare_folder(source, target)
    except DggnError as error:
        raise _failed(error) from error


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (lite) or a TOML file.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the run; an unfinished one goes on.")],
    train_folders: Annotated[
        list[Path] | None, typer.Option("--train", help="Folder of HR pictures; repeatable.")
    ] = None,
    validation_folders: Annotated[
        list[Path] | None,
        typer.Option("--validation", help="Folder of HR pictures to validate on; repeatable."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            help="Training time that ends the run earlier, its schedule completed inside it; "
            "reading pictures and validating are not counted."
        ),
    ] = None,
) -> None:
    """Train a generator; interrupt with Ctrl-C, go on with the same command.

    The folder of the run then holds generator.safetensors (the result so far),
    state.safetensors (what is needed to go on) and log.jsonl (the validations).
    """
    # A polite kill is an interruption too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        complete = _train(
            recipe, folder, train_folders or [], validation_folders or [], steps, max_minutes
        )
    except DggnError as error:
        raise _failed(error) from error
    except KeyboardInterrupt:
        complete = False
    if not complete:
        typer.echo(f"stopped; go on with the same command ({folder})", err=True)
        raise typer.Exit(130)


def _failed(error: DggnError) -> typer.Exit:
    """Say what went wrong; the result ends the command with the error's exit code."""
    typer.echo(f"dggn-train: {error}", err=True)
    return typer.Exit(error.exit_code)


def _train(
    recipe: str,
    folder: Path,
    train_folders: list[Path],
    validation_folders: list[Path],
    steps: int | None,
    max_minutes: float | None,
) -> bool:
    from dggn.training.config import read_config

    config = read_config(recipe)
    config = config.with_data(
        tuple(map(str, train_folders)) or config.data.train,
        tuple(map(str, validation_folders)) or config.data.validation,
    )
    config = replace(
        config,
        steps=config.steps if steps is None else steps,
        max_minutes=config.max_minutes if max_minutes is None else max_minutes,
    )
    if not config.data.train:
        raise ConfigError("no training pictures: name a folder with --train")

    require("torch", "safetensors", extra="train")
    from dggn.data.pairs import read_pairs
    from dggn.training.progress import show_progress
    from dggn.training.state import TrainingState
    from dggn.training.trainer import Trainer

    state = TrainingState.open(folder, config)
    pictures = read_pairs([Path(name) for name in config.data.train])
    validation = read_pairs([Path(name) for name in config.data.validation])
    trainer = Trainer(state, pictures, validation, folder)
    typer.echo(
        f"{len(pictures)} training and {len(validation)} validation pictures; "
        f"step {state.step}, {state.elapsed_s / 60:.1f} min done",
        err=True,
    )

    # From here on an interruption ends the step and saves, instead of ending the process.
    interrupted = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with show_progress(sys.stderr) as progress:
        return trainer.run(progress=progress, should_stop=lambda: interrupted)
