"""Each stage when a picture, the disk or the backend fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.codecs.decode import decode as decode_file
from runtime.errors import BackendError, ConfigError, ImageWriteError, TargetError
from runtime.image.picture import Picture
from runtime.jobs.job import Job
from runtime.run import route as route_module
from runtime.run import stages as stages_module
from tests.support.pipeline_bench import (
    LIMIT_S,
    Bench,
    NearestUpscaler,
    run,
    within_limit,
)


def module_of(stage: str) -> ModuleType:
    """Return the module from which the pipeline takes a stage."""
    return route_module if stage == "decode" else stages_module


def fail_for(name: str, error: Exception) -> Callable[..., Any]:
    """Make a stage fail for one picture."""

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def stage(*arguments: Any, **options: Any) -> Any:
            if any(isinstance(item, Path) and item.name == name for item in arguments):
                raise error
            return real(*arguments, **options)

        return stage

    return wrap


@pytest.mark.parametrize("stage", ["decode", "encode"])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImageWriteError("003.png: too large"), "too large"),
        (MemoryError(), "not enough memory"),
        (ZeroDivisionError("oops"), "unexpected ZeroDivisionError: oops"),
    ],
)
def test_one_picture_fails_in_a_stage(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stage: str,
    error: Exception,
    message: str,
) -> None:
    module = module_of(stage)
    monkeypatch.setattr(module, stage, fail_for("003.png", error)(getattr(module, stage)))
    with caplog.at_level(logging.ERROR):
        results = run(bench.pipeline(), bench.jobs(8))
    assert results.pop("003.png").message.startswith(message)
    assert {result.status for result in results.values()} == {"done"}
    assert ("003.png" in caplog.text) == isinstance(error, ZeroDivisionError)


def test_one_picture_fails_in_inference(bench: Bench) -> None:
    def before(picture: Picture) -> None:
        if picture.rgb_hwc[0, 0, 0] == 3:
            raise MemoryError

    bench.upscaler = NearestUpscaler(before)
    results = run(bench.pipeline(memory_bytes=1), bench.jobs(8))
    assert results.pop("003.png").message.startswith("not enough memory")
    assert {result.status for result in results.values()} == {"done"}


@pytest.mark.parametrize("error", [TargetError("disk full"), ConfigError("nonsense")])
@pytest.mark.parametrize("stage", ["decode", "encode", "fit"])
def test_other_errors_end_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, stage: str, error: Exception
) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(module_of(stage), stage, fail)
    pipeline = bench.pipeline()
    with pytest.raises(type(error), match=str(error)):
        within_limit(lambda: list(pipeline.run(bench.jobs(30))))
    assert pipeline.join(timeout_s=LIMIT_S)
    assert bench.upscaler.cancelled.is_set(), "inference does not go on for nothing"


def test_a_backend_error_ends_the_run(bench: Bench) -> None:
    def before(picture: Picture) -> None:
        raise BackendError("out of device memory")

    bench.upscaler = NearestUpscaler(before)
    with pytest.raises(BackendError, match="device memory"):
        within_limit(lambda: list(bench.pipeline().run(bench.jobs(30))))


def test_a_picture_too_large_for_its_format_is_not_upscaled_first(bench: Bench) -> None:
    source = bench.folder / "wide.png"
    Image.new("RGB", (5000, 1)).save(source)
    job = Job(source=source, target=bench.out / "wide.webp", name="wide.png")
    results = run(bench.pipeline(), [job])
    assert "png or tiff" in results["wide.png"].message
    assert bench.progress.names == []


def test_a_source_that_changes_while_it_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decode_file

    def decode(path: Path, **limits: Any) -> Picture:
        picture = real(path)
        path.write_bytes(b"something else entirely")
        return picture

    monkeypatch.setattr(route_module, "decode", decode)
    results = run(bench.pipeline(), bench.jobs(1))
    assert "changed while it was read" in results["000.png"].message
    assert not list(bench.out.glob("*.png"))


def test_notes_of_all_stages_come_once_and_in_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(path: Path, **limits: Any) -> Picture:
        return Picture(rgb_hwc=np.zeros((2, 2, 3), np.uint8), notes=["first frame only"])

    monkeypatch.setattr(route_module, "decode", decode)
    monkeypatch.setattr(stages_module, "encode", lambda *_: ["alpha flattened"])
    job = replace(bench.jobs(1)[0], notes=("renamed",))
    job.target.write_bytes(b"")
    result = run(bench.pipeline(), [job])[job.name]
    assert result.notes == ("renamed", "first frame only", "alpha flattened")
