from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from runtime.errors import MissingDependency
from runtime.system.package import installed_version, require, version_option


def test_what_is_installed_is_not_imported() -> None:
    require("json", "numpy", extra="cpu")


def test_the_message_is_the_command_that_installs() -> None:
    with pytest.raises(MissingDependency) as caught:
        require("json", "no_such_package", "nor_this_one", extra="train")
    assert str(caught.value) == (
        "this needs no_such_package and nor_this_one, which is not installed: "
        "pip install 'dggn[train]'"
    )
    assert caught.value.exit_code == 3


def test_the_version_option_prints_and_ends() -> None:
    app = typer.Typer()

    @app.command()
    def main(version: bool = version_option()) -> None:
        raise AssertionError("the command itself must not run")

    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"dggn {installed_version()}\n"
