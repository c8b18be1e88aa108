"""`dggn-run` in its own process, with its input and output."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.processes import run as run_command
from tests.support.processes import started

APP = "from runtime.cli import app; app(prog_name='dggn-run')"


def command(*arguments: str | Path, first: str = "") -> list[str]:
    """Return the command line; Python code that runs first may change the environment."""
    return [sys.executable, "-W", "error", "-c", f"{first}\n{APP}", *map(str, arguments)]


def run(*arguments: str | Path, first: str = "") -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return run_command(command(*arguments, first=first))


def start(
    *arguments: str | Path, first: str = ""
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """Start it, for the length of a block."""
    return started(command(*arguments, first=first))


def make(path: Path, size: tuple[int, int] = (24, 20), mode: str = "RGB", **options: Any) -> Path:
    """Write a picture of noise, in a folder that is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(len(path.name))
    noise = generator.integers(0, 256, (size[1], size[0], len(mode)), np.uint8)
    Image.fromarray(noise, mode if mode == "RGBA" else None).save(path, **options)
    return path


def files(folder: Path) -> set[str]:
    """Return everything in a folder except the journal."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return names - {".dggn-run.jsonl"}


def statuses(report: dict[str, Any]) -> dict[str, str]:
    """Return the files of a report by name."""
    return {file["name"]: file["status"] for file in report["files"]}
