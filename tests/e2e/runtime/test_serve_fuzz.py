"""The server against its own description, and against hostile files."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")
schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS

from runtime.jobs.stamp import _resolved
from tests.support.hostile_files import KINDS, data
from tests.support.processes import wait_until
from tests.support.serve_bench import Bench, served

POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
TAKE_SOMETHING = [("/upscale", "POST"), ("/view", "POST"), ("/progress", "GET")]
TAKE_NOTHING = [(path, "GET") for path in ("/info", "/metrics", "/healthz", "/readyz")]
LARGE = ("2 GiB of nothing", "profile of 100 MB", "compressed text of 100 MB")
FILES = sorted(
    name
    for name, kind in KINDS.items()
    # Only regular files within the size limit.
    if kind.fate in ("done", "failed", "either") and name not in LARGE
    if not any(word in name for word in ("link", "pipe", "folder", "name ", "too long for WebP"))
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with served(max_bytes=30_000_000, max_pixels=200_000) as bench:
        yield bench


@pytest.fixture(scope="module")
def description(bench: Bench) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{bench.port}/openapi.json")


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that nothing is logged as an error, in particular no traceback."""
    with caplog.at_level(logging.ERROR):
        yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


pictures = st.sampled_from([data(form) for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")])
schemathesis.openapi.media_type("application/octet-stream", pictures | st.binary(max_size=200))


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [(*operation, POSITIVE) for operation in (*TAKE_SOMETHING, *TAKE_NOTHING)]
    + [(*operation, NEGATIVE) for operation in TAKE_SOMETHING],
)
def test_it_does_what_its_description_says(
    description: Any, path: str, method: str, mode: Any, errors: None
) -> None:
    operation = description[path][method]
    # A body that matches the description need not be a picture.
    excluded = [CHECKS.get_one("positive_data_acceptance")]
    rejection = CHECKS.get_one("negative_data_rejection")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        response = case.call()
        # A form sends a list of one value as that value, as the description allows.
        has_list = isinstance(case.body, dict) and list in map(type, case.body.values())
        case.validate_response(response, excluded_checks=[*excluded, *([rejection] * has_list)])
        assert b"Traceback" not in response.content

    check()


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_end_in_answers(
    bench: Bench, name: str, tmp_path: Path, errors: None
) -> None:
    kind = KINDS[name]
    path = tmp_path / kind.name
    kind.make(path)
    answer = bench.ask("/upscale?format=png", path.read_bytes())
    refused = (400, 413, 415, 422)
    expected = {"done": (200,), "failed": refused, "either": (200, *refused)}[kind.fate]
    assert answer.status in expected, answer.body[:300]
    if answer.status == 200:
        answer.image.load()
    else:
        assert list(answer.json) == ["error"]
        assert str(bench.folder) not in answer.json["error"]
    wait_until(bench.is_idle)


def test_nothing_grows(bench: Bench) -> None:
    def round_of(requests: int) -> None:
        for number in range(requests):
            bench.ask(f"/upscale?id={number:016}", data("PNG"))
            bench.ask(f"/upscale?made-up-{number}=1", b"x")
            bench.ask(f"/path/{number}")
        wait_until(bench.is_idle)
        bench.backend.taken.clear()
        _resolved.cache_clear()
        gc.collect()

    round_of(20)
    tracemalloc.start()
    try:
        round_of(20)
        before, _ = tracemalloc.get_traced_memory()
        round_of(60)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Python itself keeps some names of attributes; a request that is kept would be more.
    assert after - before < 60 * 600
    assert bench.service._progress == {}
    assert len(bench.ask("/metrics").body) < 40_000
