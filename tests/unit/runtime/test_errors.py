from __future__ import annotations

import inspect

import pytest

from runtime import errors
from runtime.errors import DggnError

FAMILY = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, DggnError)
]


@pytest.mark.parametrize("error", FAMILY, ids=lambda error: error.__name__)
def test_every_error_has_a_documented_exit_code(error: type[DggnError]) -> None:
    if issubclass(error, errors.ImageError):
        assert error.exit_code == 1
    elif issubclass(error, errors.EnvironmentProblem):
        assert error.exit_code == 3
    else:
        assert error.exit_code == 2
    assert str(error("what is wrong")) == "what is wrong"


def test_cancelling_is_no_error_of_the_family() -> None:
    assert not issubclass(errors.Cancelled, DggnError)
