from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runtime.codecs.output import OutputSettings
from runtime.errors import Cancelled, ConfigError
from runtime.jobs.journal import Fingerprints, Journal
from runtime.report.progress import PlainProgress
from runtime.report.summary import Report
from runtime.run import workers as workers_module
from runtime.run.batch import Batch, describe, sort_out
from runtime.run.options import Options, ends_of, result_bytes
from runtime.run.workers import Facts
from runtime.stores.staging import Staging
from tests.support.pipeline_bench import NearestUpscaler


class Upscaler(NearestUpscaler):
    """Replaces the result of `open_upscaler`, without a model."""

    description, why, precision = "nearest, in memory", "", "uint8"
    model_name, model_sha256 = "fake", "a" * 64
    tile_size, overlap, on_gpu = 64, 0, False

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.fixture
def upscaler(monkeypatch: pytest.MonkeyPatch) -> Upscaler:
    upscaler = Upscaler()
    monkeypatch.setattr(workers_module, "open_upscaler", lambda options, progress: upscaler)
    return upscaler


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def options(tmp_path: Path, target: Path) -> Options:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (6, 5), (7, 8, 9)).save(source / name)
    (source / "notes.txt").touch()
    return Options(source=source, target=target, jobs=1, keep_results=True)


def run(options: Options) -> tuple[Batch, str]:
    stream = io.StringIO()
    batch = Batch(options, PlainProgress(stream))
    batch.run()
    return batch, stream.getvalue()


def statuses(batch: Batch) -> dict[str, str]:
    return {result.name: result.status for result in batch.report.files}


def test_a_run_its_report_and_the_next_one(
    options: Options, upscaler: Upscaler, target: Path
) -> None:
    batch, said = run(options)
    assert statuses(batch) == {"a.png": "done", "b.png": "done"}
    assert (batch.report.totals.done, batch.report.runs_on) == (2, upscaler.description)
    assert "nearest, in memory" in said
    assert f"ignored in {options.source}: 1" in said
    with Image.open(target / "a.png") as result:
        assert result.size == (24, 20)
    again, _ = run(options)
    assert statuses(again) == {"a.png": "skipped", "b.png": "skipped"}
    assert again.report.totals.up_to_date == 2


def test_another_model_or_setting_redoes_results(options: Options, upscaler: Upscaler) -> None:
    run(options)
    smaller = replace(options, settings=OutputSettings(scale=2))
    assert set(statuses(run(smaller)[0]).values()) == {"done"}
    upscaler.model_sha256 = "b" * 64
    assert set(statuses(run(smaller)[0]).values()) == {"done"}


def test_files_of_others_are_kept_unless_told(
    options: Options, upscaler: Upscaler, target: Path
) -> None:
    target.mkdir()
    (target / "a.png").write_bytes(b"mine")
    batch, _ = run(options)
    assert statuses(batch) == {"a.png": "skipped", "b.png": "done"}
    assert batch.report.totals.skipped == 1
    assert (target / "a.png").read_bytes() == b"mine"
    assert statuses(run(replace(options, overwrite=True))[0])["a.png"] == "done"


def test_a_cancel_removes_what_was_fetched(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends without leaving its blocks."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    batch = Batch(options, PlainProgress(io.StringIO()))
    with Staging() as staging:
        (staging.sources / "a.png").write_bytes(b"a")
        batch._staging = staging
        batch.cancel(within_s=1)
        assert not staging.sources.exists()


def test_a_cancel_before_the_start(options: Options, upscaler: Upscaler, target: Path) -> None:
    batch = Batch(options, PlainProgress(io.StringIO()))
    batch.cancel(within_s=1)
    with pytest.raises(Cancelled):
        batch.run()
    assert {path.name for path in target.iterdir()} == {".dggn-run.jsonl"}


def test_the_page_shows_every_picture(options: Options, upscaler: Upscaler, target: Path) -> None:
    page = target.parent / "page.html"
    batch, _ = run(replace(options, page=page))
    assert not page.exists(), "until the end"
    batch.write_page()
    text = page.read_text()
    assert text.count("<article") == 2
    assert "a.png" in text


def test_nothing_to_do_is_a_mistake(tmp_path: Path, options: Options) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    words = r"no pictures in .*ignored: nothing.*\.avif, \.bmp"
    with pytest.raises(ConfigError, match=words), ends_of(replace(options, source=empty)):
        pass


def test_memory_is_shared_with_what_results_come_from() -> None:
    options = Options(source=Path(), target=Path())
    assert result_bytes(replace(options, memory_bytes=4000)) == 1000
    assert result_bytes(options) > 0


def test_what_decides_about_a_result(options: Options, upscaler: Any) -> None:
    def fingerprint(**settings: Any) -> str:
        report = Report()
        asked = replace(options, settings=OutputSettings(**settings))
        found = describe(report, asked, Facts.of(upscaler))
        assert report.settings["tile_size"] == 64
        return found.pictures

    plain = fingerprint()
    assert fingerprint(scale=4.0) == plain, "the model's own scale"
    assert fingerprint(second_pass=True, scale=4.0) == plain
    assert fingerprint(scale=2.0) != plain
    assert fingerprint(quality=90) != plain
    with pytest.raises(ConfigError, match="--scale is 5"):
        fingerprint(scale=5.0)


def test_names_that_a_disk_does_not_take(options: Options) -> None:
    with ends_of(replace(options, suffix="x" * 300)) as ends:
        plan = ends.plan
    plan.folder.mkdir()
    with Journal(plan.folder) as journal:
        todo, settled = sort_out(
            plan, journal, Fingerprints(pictures="f", clips="f"), overwrite=False
        )
    assert not todo
    assert {result.status for result in settled} == {"failed"}
    assert all("shorten the name" in result.message for result in settled)


@pytest.fixture(autouse=True)
def _no_rest(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob("*.partial"))
