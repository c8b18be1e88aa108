from __future__ import annotations

import logging

import pytest

from runtime.codecs.kinds import KindNotRead
from runtime.codecs.limits import TooManyPixels
from runtime.errors import (
    BackendError,
    Cancelled,
    ConfigError,
    ImageReadError,
    ImageWriteError,
    TargetError,
)
from runtime.serve.problems import Problem, problem_of


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (TooManyPixels("picture: has 9 pixels"), 413, "the picture has 9 pixels"),
        (KindNotRead("picture: is a PDF document"), 415, "the file is a PDF document"),
        (ImageReadError("picture: is damaged"), 422, "is damaged"),
        (ImageWriteError("result.webp: too long"), 422, "result.webp: too long"),
        (ConfigError("--max-size is 0, and --jobs 1"), 400, "max_size is 0, and --jobs 1"),
        (Cancelled(), 503, "stopping"),
        (MemoryError(), 503, "memory"),
        (Problem(409, "as it is"), 409, "as it is"),
    ],
)
def test_each_error_has_its_status(error: BaseException, status: int, words: str) -> None:
    problem = problem_of(error, name="picture", parameters=("max_size",))
    assert problem.status == status
    assert words in str(problem)
    assert ("Retry-After" in problem.headers) == (status == 503)


@pytest.mark.parametrize(
    "error",
    [
        TargetError("cannot write to the folder /tmp/secret"),
        BackendError("CUDA at /opt/secret"),
        OSError(28, "No space left", "/tmp/secret"),
        ZeroDivisionError("secret"),
    ],
)
def test_faults_of_the_server_are_for_its_log(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        problem = problem_of(error, name="picture", parameters=())
    assert problem.status == 500
    assert "secret" not in str(problem)
    assert "secret" in caplog.text
