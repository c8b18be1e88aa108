"""The subcommand `dggn-train campaign`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.errors import Cancelled
from runtime.system.package import require
from runtime.system.terminal import errors_reported


def campaign(
    name: Annotated[
        Literal["psnr", "gan", "ablation", "lite", "photo", "photo-gan"],
        typer.Argument(metavar="NAME", help="Campaign; see docs/gpu.md."),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder with train/ or taught/, val/ and, if needed, benchmark/ and perceptual/.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="Folder of the results, from which another machine resumes."
        ),
    ],
    work: Annotated[
        Path, typer.Option(help="Folder of prepared pictures, states, logs and samples.")
    ] = Path("runs"),
    minutes: Annotated[float | None, typer.Option(help="Duration of each stage.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each stage, overriding the recipe's.")
    ] = None,
    stop_after: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Stop this call after this time.")
    ] = None,
    keep_every: Annotated[
        float, typer.Option(metavar="MINUTES", help="Time between updates of OUTPUT.")
    ] = 2,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint, exported or shipped model to start from; by default random weights, "
            "or, for gan and photo-gan, those of psnr and photo."
        ),
    ] = None,
    recipes: Annotated[Path | None, typer.Option(help="Folder of alternative recipes.")] = None,
    device: Annotated[
        str, typer.Option(help="auto (a GPU if available), cpu, cuda or cuda:1.")
    ] = "auto",
    eager: Annotated[bool, typer.Option("--eager", help="Do not compile.")] = False,
) -> None:
    """Train a shipped model in one command; run the same command to resume, on any machine."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    resume = f"stopped; run the same command to resume ({output})"
    with errors_reported("dggn-train", interrupted=resume):
        require("torch", "safetensors", extra="train")
        from dggn.training.campaign.run import RECIPES_FOLDER, STOPPED, Campaign, CampaignOptions

        options = CampaignOptions(
            name=name,
            data=data,
            output=output,
            work=work,
            minutes=minutes,
            steps=steps,
            stop_after_minutes=stop_after,
            keep_every_minutes=keep_every,
            start=start,
            recipes=recipes or RECIPES_FOLDER,
            device=device,
            compile=not eager,
        )
        code = Campaign(options, typer.echo).run()
        if code == STOPPED:
            raise Cancelled
    if code:
        raise typer.Exit(code)
