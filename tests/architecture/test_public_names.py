"""Names that `dggn` exports."""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path

import pytest

import dggn
import runtime.cli
import runtime.errors
from runtime.backends.request import BackendName
from runtime.model.info import WantedPrecision
from runtime.upscale import upscale
from runtime.upscaler import Upscaler


def test_exported_names() -> None:
    assert sorted(dggn.__all__) == ["Upscaler", "__version__", "errors", "load", "upscale"]
    assert set(dggn.__all__) <= set(dir(dggn))


def test_names_are_those_of_the_rooms() -> None:
    assert dggn.upscale is upscale
    assert dggn.Upscaler is Upscaler
    assert callable(dggn.load)
    assert dggn.__version__.count(".") == 2


def test_unknown_names_are_refused() -> None:
    misspelt = "upscal"
    with pytest.raises(AttributeError, match=misspelt):
        getattr(dggn, misspelt)


def test_errors_are_the_runtimes() -> None:
    family = {
        name
        for name, value in vars(runtime.errors).items()
        if inspect.isclass(value) and value.__module__ == "runtime.errors"
    }
    assert set(dggn.errors.__all__) == family
    assert all(getattr(dggn.errors, name) is getattr(runtime.errors, name) for name in family)


def test_the_reference_lists_every_error_with_its_exit_code() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
    rows = re.findall(r"^\|.*?`(\w+)` \|.*\| (\d?) ?\|$", page.read_text(encoding="utf-8"), re.M)
    codes = {
        name: str(getattr(getattr(dggn.errors, name), "exit_code", ""))
        for name in dggn.errors.__all__
    }
    assert dict(rows) == codes | {"DggnError": ""}


@pytest.mark.parametrize(
    ("option", "names"), [("backend", BackendName), ("precision", WantedPrecision)]
)
def test_the_command_knows_the_names_that_python_knows(option: str, names: object) -> None:
    hint = typing.get_type_hints(runtime.cli.run)[option]
    found = {value for one in (hint, *typing.get_args(hint)) for value in typing.get_args(one)}
    found = {value for value in found if isinstance(value, str)}
    # In Python, no precision is None.
    assert found - {"auto"} == set(typing.get_args(names)) - {"auto"}
