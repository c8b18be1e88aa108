"""`dggn-train`: train a generator."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from runtime.errors import DggnError
from runtime.version import version_option

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (lite) or a TOML file.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run; an unfinished one goes on.")],
    train_folders: Annotated[
        list[Path] | None, typer.Option("--train", help="Folder of HR pictures; repeatable.")
    ] = None,
    validation_folders: Annotated[
        list[Path] | None,
        typer.Option("--validation", help="Folder of HR pictures to validate on; repeatable."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="End inside this time, schedule completed.")
    ] = None,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Train a generator; interrupt with Ctrl-C, go on with the same command."""
    try:
        complete = _train(recipe, run, train_folders, validation_folders, steps, max_minutes)
    except DggnError as error:
        typer.echo(f"dggn-train: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    if not complete:
        typer.echo(f"stopped; go on with the same command ({run})", err=True)
        raise typer.Exit(130)


def _train(
    recipe: str,
    run: Path,
    train_folders: list[Path] | None,
    validation_folders: list[Path] | None,
    steps: int | None,
    max_minutes: float | None,
) -> bool:
    from dggn.training.config import read_config
    from runtime.extras import require

    config = read_config(recipe)
    config = config.with_data(
        tuple(map(str, train_folders or config.data.train)),
        tuple(map(str, validation_folders or config.data.validation)),
    )
    config = replace(
        config,
        steps=steps or config.steps,
        max_minutes=max_minutes or config.max_minutes,
    )
    require("torch", "safetensors", extra="train")
    from dggn.data.pairs import read_pairs
    from dggn.training.state import TrainingState
    from dggn.training.trainer import STATE_NAME, Trainer

    if not config.data.train:
        from runtime.errors import ConfigError

        raise ConfigError("no training pictures: name a folder with --train")
    run.mkdir(parents=True, exist_ok=True)
    saved = run / STATE_NAME
    state = TrainingState.resume(saved, config) if saved.exists() else TrainingState.fresh(config)
    train = read_pairs([Path(folder) for folder in config.data.train])
    validation = read_pairs([Path(folder) for folder in config.data.validation])
    typer.echo(
        f"{len(train)} training and {len(validation)} validation pictures; "
        f"step {state.step}, {state.elapsed_s / 60:.1f} min done",
        err=True,
    )

    interrupted = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    from dggn.training.progress import show_progress

    with show_progress(sys.stderr) as progress:
        trainer = Trainer(state, train, validation, run)
        return trainer.run(progress=progress, should_stop=lambda: interrupted)
