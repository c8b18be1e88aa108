"""Every subcommand's `--help` works with only the base dependencies."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dggn.training.cli import app
from tests.support.processes import run

HEAVY = ("torch", "safetensors", "onnx", "matplotlib", "tensorboard")

CODE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from dggn.training.cli import app
app(ARGUMENTS)
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"HEAVY, ARGUMENTS = {HEAVY!r}, {list(arguments)!r}\n{CODE}"
    return run([sys.executable, "-c", code])


@pytest.mark.parametrize("command", ["run", "prepare", "plot"])
def test_help_needs_no_heavy_library(command: str) -> None:
    result = _run(command, "--help")
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.system.package.find_spec", lambda name: None)
    for arguments in (["plot", "run"], ["run", "lite", "run", "--train", "photos"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 3
        assert "pip install 'dggn[train]'" in result.output
