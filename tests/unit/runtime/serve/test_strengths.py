"""One model at several strengths of denoising."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")

from runtime.errors import BackendError, Cancelled, ConfigError
from runtime.serve.strengths import Reopen, Strengths
from runtime.upscaler import Upscaler
from tests.support.serve_bench import GatedBackend, Opener, file_of, noise, served, upscaler_over


@contextmanager
def opened(reopen: Reopen | None, denoise: float | None = 1.0) -> Iterator[Strengths]:
    upscaler = upscaler_over(GatedBackend(), denoise=denoise)
    strengths = Strengths(upscaler, reopen, on_failure=lambda error: None)
    try:
        yield strengths
    finally:
        strengths.close()


def test_each_strength_is_opened_once_and_closed() -> None:
    opener = Opener()
    with opened(opener) as strengths:
        assert strengths.at(None) is strengths.at(1.0) is strengths.default
        assert strengths.at(0.5) is strengths.at(0.5)
        assert strengths.at(0.25) is not strengths.at(0.5)
        assert opener.opened == [0.5, 0.25]
    assert all(backend._cancelled for backend in opener.backends)
    with pytest.raises(Cancelled, match="stopping"):
        strengths.at(0.75)


def test_a_model_of_one_strength_offers_none() -> None:
    with opened(Opener(), denoise=None) as strengths:
        assert not strengths.offered
        with pytest.raises(ConfigError, match="leave denoise out"):
            strengths.at(0.5)


def test_a_strength_that_cannot_be_opened_leaves_the_others() -> None:
    def fails(strength: float) -> Upscaler:
        raise BackendError("no room on the device")

    with opened(fails) as strengths:
        with pytest.raises(BackendError, match="no room"):
            strengths.at(0.5)
        assert strengths.at(1.0) is strengths.default


def test_requests_choose_a_strength() -> None:
    rgb = noise(20, 24) // 2
    with served(denoise=1.0, reopen=Opener(), max_bytes=10_000) as bench:
        for query, more in (("", 0), ("denoise=0.5&", 50), ("denoise=0&", 0), ("denoise=1&", 0)):
            answer = bench.ask(f"/upscale?{query}format=png", file_of(rgb))
            assert answer.status == 200, answer.body
            assert np.array_equal(np.asarray(answer.image)[::2, ::2], rgb + more)
        assert bench.ask("/info").json["strengths"] == [0, 0.25, 0.5, 0.75, 1]
        refused = bench.ask("/upscale?denoise=0.3", file_of(rgb))
        assert refused.status == 400
        assert "one of 0, 0.25, 0.5, 0.75, 1" in refused.json["error"]
