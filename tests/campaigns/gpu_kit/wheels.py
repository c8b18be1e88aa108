"""Packages for another machine's Python, out of wheels."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path


def download(
    requirements: Sequence[str], python: str, target: Path, *, alone: bool = False
) -> None:
    """Fetch wheels with pip, and unpack them into a folder for `PYTHONPATH`.

    Args:
        requirements: as pip takes them.
        python: version of the other Python, as `3.12`.
        target: folder.
        alone: whether to leave out what they need.

    Raises:
        SystemExit: pip fails; it has said why.
    """
    wheels = target.with_name(target.name + "-wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)]
    command += ["--only-binary", ":all:", "--python-version", python, *requirements]
    command += ["--no-deps"] if alone else []
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("pip could not fetch the packages")
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
