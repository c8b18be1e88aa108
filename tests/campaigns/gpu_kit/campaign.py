"""A training campaign until a borrowed machine's time is over."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def add_options(parser: argparse.ArgumentParser, campaigns: Sequence[str]) -> None:
    """Add what :func:`run_campaign` reads; the first campaign is the default."""
    parser.add_argument(
        "--minutes",
        type=float,
        help="of the schedule, over all calls together [as before in OUTPUT, or what is left]",
    )
    parser.add_argument("--campaign", default=campaigns[0], choices=campaigns)
    parser.add_argument("--start", help="model that the campaign starts from, as dggn-lite-photo")
    parser.add_argument("--eager", action="store_true", help="do not try compiled forms")
    parser.add_argument("--recipes", type=Path, help="of the campaign")


def run_campaign(
    options: argparse.Namespace, work: Path, left_s: float, out: dict[str, Any]
) -> None:
    """`dggn-train campaign` until the time is over.

    Args:
        options: those of :func:`add_options` and of every kit's `run`; from `output` the campaign
            goes on anywhere.
        work: folder with `data` and `packages`.
        left_s: time left.
        out: takes the exit code.

    Raises:
        RuntimeError: it failed; the message names its log.
    """
    minutes = (
        options.minutes
        or _minutes_before(options.output / options.campaign)
        or max(0.1, round(left_s / 60 - 1, 2))
    )
    command = [sys.executable, "-c", "from dggn.training.cli import app; app()", "campaign"]
    command += [options.campaign, str(work / "data"), str(options.output)]
    command += ["--work", str(work / "runs"), "--minutes", f"{minutes:g}"]
    command += ["--stop-after", f"{left_s / 60:.3f}", "--keep-every", "1"]
    command += ["--start", options.start] if options.start else []
    command += ["--eager"] if options.eager or options.rehearse else []
    command += ["--device", "cpu", "--steps", "2"] if options.rehearse else []
    command += ["--recipes", str(options.recipes)] if options.recipes else []
    paths = [str(ROOT), str(work / "packages"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    log = options.output / "training.log"
    with log.open("w") as file:
        out["exit_code"] = subprocess.run(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    # 130: stopped when the time was over, to go on another day.
    if out["exit_code"] not in (0, 130):
        raise RuntimeError(f"training ended with {out['exit_code']}: see {log}")


def _minutes_before(run: Path) -> float | None:
    """Return the length of the schedule that an earlier call began, which must not change."""
    progress = run / "progress.json"
    if not progress.is_file():
        return None
    minutes: float | None = json.loads(progress.read_text())["config"]["max_minutes"]
    return minutes
