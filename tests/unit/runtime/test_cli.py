"""From options to a run, and from results to exit codes; processes are in tests/e2e/runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from runtime.cli import app
from runtime.errors import BackendError, TargetError
from runtime.jobs.result import FileResult
from runtime.jobs.shard import Shard
from runtime.run import batch as batch_module
from runtime.run.batch import Batch
from runtime.run.options import Options
from runtime.run.workers import OpenWorkers


class FakeBatch(Batch):
    """A run whose results are given."""

    statuses: tuple[str, ...] = ("done",)
    error: Exception | None = None
    made: list[Options] = []  # noqa: RUF012 - reset for each test

    def __init__(self, options: Options, progress: Any, open_workers: OpenWorkers) -> None:
        super().__init__(options, progress, open_workers)
        self.made.append(options)

    def run(self) -> None:
        for status in self.statuses:
            result = FileResult(name=f"{status}.png", status=status, message="why")  # type: ignore[arg-type]
            self.report.totals.add(result)
            self.report.files.append(result)
        if self.error:
            raise self.error


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeBatch]:
    monkeypatch.setattr(FakeBatch, "made", [])
    monkeypatch.setattr(batch_module, "Batch", FakeBatch)
    return FakeBatch


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["in", "out", *options])


def test_options_reach_the_run(fake: type[FakeBatch]) -> None:
    arguments = "--model m.onnx --precision int8 --backend cuda --devices 1,0 --threads 3 --tile 96"
    more = "--format webp --quality 80 --width 900 --suffix _x4 --overlap 8 --jobs 2 --memory 1.5"
    assert run(*arguments.split(), *more.split(), "--overwrite").exit_code == 0
    (options,) = fake.made
    request, settings = options.request, options.settings
    assert (options.source, options.target, options.model) == (Path("in"), Path("out"), "m.onnx")
    assert (request.name, request.precision, request.devices) == ("cuda", "int8", (1, 0))
    assert (request.threads, request.tile_px, request.build) == (3, 96, None)
    assert (settings.format, settings.quality, settings.width_px) == ("webp", 80, 900)
    assert (options.suffix, options.overlap, options.jobs) == ("_x4", 8, 2)
    assert (options.memory_bytes, options.overwrite) == (1_500_000_000, True)


def test_a_shard_reaches_the_run(fake: type[FakeBatch]) -> None:
    assert run("--shard", "3/16").exit_code == 0
    assert fake.made[0].shard == Shard(3, 16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2"], "--workers needs --cluster"),
        (["--cluster", "auto", "--dry-run"], "--dry-run measures this machine"),
    ],
)
def test_what_contradicts_itself_begins_nothing(
    fake: type[FakeBatch], options: list[str], words: str
) -> None:
    result = run(*options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not fake.made


def test_what_is_left_open(fake: type[FakeBatch]) -> None:
    assert run().exit_code == 0
    (options,) = fake.made
    assert (options.request.precision, options.request.devices) == (None, None)
    assert options.request.build is not None
    assert (options.memory_bytes, options.page, options.keep_results) == (None, None, False)


def test_engines_are_not_built_where_that_is_forbidden(fake: type[FakeBatch]) -> None:
    for options in (("--no-build",), ("--backend", "openvino", "--devices", "gpu.1")):
        assert run(*options).exit_code == 0
        assert fake.made[-1].request.build is None
    assert fake.made[-1].request.openvino_device == "GPU.1"


@pytest.mark.parametrize(
    ("statuses", "error", "code"),
    [
        (("done", "done"), None, 0),
        (("done", "failed"), None, 1),
        (("skipped",), None, 1),
        (("done",), BackendError("the driver died"), 3),
        ((), TargetError("the disk is full"), 3),
    ],
)
def test_exit_codes(
    fake: type[FakeBatch],
    monkeypatch: pytest.MonkeyPatch,
    statuses: tuple[str, ...],
    error: Exception | None,
    code: int,
) -> None:
    monkeypatch.setattr(fake, "statuses", statuses)
    monkeypatch.setattr(fake, "error", error)
    result = run("--quiet")
    assert result.exit_code == code
    assert (f"dggn-run: {error}" in result.stderr) is (error is not None)
    assert ("run the same command to resume" in result.stderr) is bool(error and statuses)


def test_the_report_is_json_on_standard_output(
    fake: type[FakeBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "statuses", ("done", "failed"))
    result = run("--json")
    assert result.exit_code == 1
    files = json.loads(result.stdout)["files"]
    assert [file["status"] for file in files] == ["done", "failed"]
    assert fake.made[0].keep_results


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dry-run", "--report", "page.html"), "--dry-run writes nothing"),
        (("--devices", "0,0"), "expected different numbers"),
        (("--width", "9", "--scale", "2"), "exclude each other"),
    ],
)
def test_mistakes_cost_no_run(fake: type[FakeBatch], options: tuple[str, ...], said: str) -> None:
    result = run(*options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not fake.made


def test_a_page_that_cannot_be_written_fails_a_good_run(
    fake: type[FakeBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_page(self: Batch) -> None:
        raise TargetError("no room for the page")

    monkeypatch.setattr(fake, "write_page", write_page)
    result = run("--report", "page.html")
    assert result.exit_code == 3
    assert "no room for the page" in result.stderr
    monkeypatch.setattr(fake, "error", BackendError("the driver died"))
    assert run("--report", "page.html").exit_code == 3


def test_an_empty_argument_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    result = CliRunner().invoke(app, ["", str(tmp_path)])
    assert result.exit_code == 2
    assert "is empty" in result.stderr
