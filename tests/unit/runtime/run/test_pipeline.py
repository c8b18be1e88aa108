from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runtime.codecs.decode import decode as decode_file
from runtime.codecs.encode import encode as encode_file
from runtime.codecs.output import OutputSettings
from runtime.errors import Cancelled, TargetError
from runtime.image.picture import Picture
from runtime.jobs.journal import Journal
from runtime.run import route as route_module
from runtime.run import stages as stages_module
from runtime.tiles.stitch import OnTile
from tests.support.pipeline_bench import (
    LIMIT_S,
    Bench,
    NearestUpscaler,
    run,
    within_limit,
)
from tests.support.processes import wait_until


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_job_has_one_result_and_a_right_picture(bench: Bench, threads: int) -> None:
    jobs = bench.jobs(20)
    results = run(bench.pipeline(jobs=threads), jobs)
    assert set(results) == {job.name for job in jobs}
    assert sorted(bench.progress.names) == sorted(results)
    for number, job in enumerate(jobs):
        width = 6 + number % 3
        result = results[job.name]
        assert (result.status, result.message) == ("done", "")
        assert (result.source_size_hw, result.target_size_hw) == ((5, width), (20, 4 * width))
        assert result.target == str(job.target)
        with Image.open(job.target) as image:
            assert image.size == (4 * width, 20)
            assert image.getpixel((0, 0)) == (number, 0, 0)


def test_no_jobs(bench: Bench) -> None:
    assert run(bench.pipeline(), []) == {}


def test_done_results_are_in_the_journal(bench: Bench) -> None:
    jobs = bench.jobs(3)
    jobs[1].source.write_bytes(b"no picture")
    run(bench.pipeline(), jobs)
    bench.journal.close()
    with Journal(bench.out) as journal:
        assert [journal.is_done(job, "f") for job in jobs] == [True, False, True]


def test_a_bad_picture_does_not_stop_the_others(bench: Bench) -> None:
    jobs = bench.jobs(6)
    jobs[2].source.write_bytes(jobs[2].source.read_bytes()[:40])
    jobs[4].source.unlink()
    results = run(bench.pipeline(), jobs)
    failed = {name for name, result in results.items() if result.status == "failed"}
    assert failed == {"002.png", "004.png"}
    assert all(results[name].message for name in failed)
    assert not any(results[name].message.startswith(name) for name in failed)
    assert {path.name for path in bench.out.glob("*.png")} == set(results) - failed


def test_a_full_disk_leaves_complete_files_only(bench: Bench) -> None:
    jobs = bench.jobs(12)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    # Every temporary file in this folder is the full device.
    pipeline = bench.pipeline(jobs=1)
    real = Path.open

    def open_full(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if path.name.endswith(".partial") and len(list(bench.out.glob("*.png"))) >= 3:
            return real(full, "wb", *rest, **options)
        return real(path, mode, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        with pytest.raises(TargetError, match="No space left"):
            within_limit(lambda: list(pipeline.run(jobs)))
    assert pipeline.join(timeout_s=LIMIT_S)
    assert len(list(bench.out.glob("*.png"))) == 3
    assert not list(bench.out.glob("*.partial"))
    for path in bench.out.glob("*.png"):
        with Image.open(path) as image:
            image.load()


class Alive:
    """Counts the pictures of one kind that are in memory."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self._lock = threading.Lock()

    def watch(self, picture: Picture) -> Picture:
        self._add(1)
        weakref.finalize(picture, self._add, -1)
        return picture

    def _add(self, change: int) -> None:
        with self._lock:
            self.now += change
            self.most = max(self.most, self.now)


class LateUpscaler(NearestUpscaler):
    """Does nothing before it holds three pictures or `finish`, like a device with batches."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []
        self.most = 0

    def submit_picture(
        self,
        picture: Picture,
        on_done: Callable[[Picture], None],
        *,
        on_tile: OnTile | None = None,
    ) -> None:
        submit = super().submit_picture
        self.waiting.append(lambda: submit(picture, on_done, on_tile=on_tile))
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == 3:
            self.finish()

    def finish(self) -> None:
        super().finish()
        while self.waiting:
            self.waiting.pop()()


@pytest.mark.parametrize("memory_bytes", [None, 1])
def test_pictures_that_wait_in_a_batch_are_completed(
    bench: Bench, memory_bytes: int | None
) -> None:
    bench.upscaler = upscaler = LateUpscaler()
    pipeline = bench.pipeline(memory_bytes=memory_bytes)

    def before(picture: Picture) -> None:
        # Pictures arrive faster than they are upscaled, or none would wait.
        if len(bench.progress.names) < 10:
            wait_until(pipeline._decoded.full)

    upscaler.before = before
    results = run(pipeline, bench.jobs(20))
    assert [result.status for result in results.values()] == ["done"] * 20
    assert (upscaler.most > 1) == (memory_bytes is None)


@pytest.mark.parametrize("threads", [1, 3])
def test_memory_does_not_grow_with_the_number_of_files(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    small, large = Alive(), Alive()

    class Upscaler(NearestUpscaler):
        def submit_picture(
            self,
            picture: Picture,
            on_done: Callable[[Picture], None],
            *,
            on_tile: OnTile | None = None,
        ) -> None:
            super().submit_picture(
                picture, lambda result: on_done(large.watch(result)), on_tile=on_tile
            )

    def slow_encode(picture: Picture, target: Path, settings: OutputSettings) -> list[str]:
        time.sleep(0.005)
        return encode_file(picture, target, settings)

    bench.upscaler = Upscaler()
    monkeypatch.setattr(route_module, "decode", lambda path, **_: small.watch(decode_file(path)))
    monkeypatch.setattr(stages_module, "encode", slow_encode)
    run(bench.pipeline(jobs=threads), bench.jobs(60))
    gc.collect()
    # Decoders, their queue and the inference; the inference, its queue and encoders.
    assert small.most <= (threads + 1) // 2 + 3
    assert large.most <= threads + 2
    assert small.now == large.now == 0


def test_large_results_wait_for_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = 0
    most = 0
    lock = threading.Lock()
    real = encode_file

    def before(picture: Picture) -> None:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)

    def encode(picture: Picture, target: Path, settings: OutputSettings) -> list[str]:
        nonlocal waiting
        time.sleep(0.01)
        notes = real(picture, target, settings)
        with lock:
            waiting -= 1
        return notes

    bench.upscaler = NearestUpscaler(before)
    monkeypatch.setattr(stages_module, "encode", encode)
    results = run(bench.pipeline(jobs=4, memory_bytes=1), bench.jobs(10))
    assert len(results) == 10
    assert most == 1, "one at a time, for none fits beside another"


@pytest.mark.parametrize("stage", ["decode", "infer", "encode"])
def test_cancelling_from_another_thread(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    reached = threading.Event()
    release = threading.Event()

    def block(*arguments: Any) -> None:
        reached.set()
        # Inference can be interrupted; decoding and encoding go on.
        while not release.is_set() and not (stage == "infer" and bench.upscaler.cancelled.is_set()):
            time.sleep(0.005)

    if stage == "infer":
        bench.upscaler = NearestUpscaler(block)
    else:
        module = route_module if stage == "decode" else stages_module
        real = getattr(module, stage)

        def blocked(*arguments: Any, **options: Any) -> Any:
            block()
            return real(*arguments, **options)

        monkeypatch.setattr(module, stage, blocked)
    pipeline = bench.pipeline(jobs=1)
    jobs = bench.jobs(40)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            list(pipeline.run(jobs))
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert reached.wait(LIMIT_S)
    pipeline.cancel()
    pipeline.cancel()
    if stage == "encode":
        assert not pipeline.join(timeout_s=0.2)
    release.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert pipeline.join(timeout_s=LIMIT_S)
    assert len(list(bench.out.glob("*.png"))) <= 1
    assert not list(bench.out.glob("*.partial"))


def test_leaving_the_results_early_stops_the_threads(bench: Bench) -> None:
    pipeline = bench.pipeline()
    results = pipeline.run(bench.jobs(30))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert pipeline.join(timeout_s=LIMIT_S)
