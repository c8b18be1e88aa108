"""Packages for another machine's Python, out of wheels."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ("isal",)
"""List what the GPU machine lacks."""

PYTHON = "3.12"
"""The version there."""


def packages(folder: Path, *, rehearse: bool) -> list[tuple[str, Path]]:
    """Return the cargo of `PACKAGES`: names in an archive, and files or folders.

    Args:
        folder: receives them, in `packages`.
        rehearse: whether they are those installed here.
    """
    if rehearse:
        return [(f"packages/{name}", _installed(name)) for name in PACKAGES]
    download(PACKAGES, PYTHON, folder / "packages")
    return [("packages", folder / "packages")]


def _installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed here: pip install {package}")
    return Path(spec.origin).parent


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
