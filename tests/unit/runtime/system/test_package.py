from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from runtime.errors import MissingDependency
from runtime.system.package import _at_start, installed_version, load, require, version_option


def test_what_is_installed_is_not_imported() -> None:
    require("json", "numpy", extra="cpu")


def test_the_message_is_the_command_that_installs() -> None:
    with pytest.raises(MissingDependency) as caught:
        require("json", "no_such_package", "nor_this_one", extra="train")
    assert str(caught.value) == (
        "this needs no_such_package and nor_this_one, which are not installed: "
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


def test_a_package_that_is_there() -> None:
    assert load("json", extra="cpu").loads("1") == 1


def test_a_package_that_is_missing() -> None:
    with pytest.raises(MissingDependency, match=r"pip install 'dggn\[cpu\]'"):
        load("no_such_package", extra="cpu")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"only a part of broken_package is installed: pip install --force-reinstall"),
        ('raise ImportError("DLL load failed")', r"cannot be loaded \(DLL load failed\)"),
        ('raise OSError("libcudnn.so.9: no such file")', r"cannot be loaded \(libcudnn"),
        ("import broken_package.capi.state", r"cannot be loaded \(No module named"),
        ("raise RuntimeError", r"cannot be loaded \(RuntimeError\)"),
    ],
)
def test_a_package_that_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, message: str
) -> None:
    """Leftovers, for example when one of two distributions that share a folder was removed."""
    (tmp_path / "broken_package/capi").mkdir(parents=True)
    if content is not None:
        (tmp_path / "broken_package/__init__.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_package", raising=False)
    with pytest.raises(MissingDependency, match=message):
        load("broken_package", extra="cpu")


def test_names_that_a_legacy_encoding_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    _at_start(False)
    sys.stdout.write("é 猫")
    sys.stdout.flush()
    assert raw.getvalue() == b"\xe9 \\u732b"
