"""A folder of small pictures, and a pipeline over them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from runtime.codecs.output import OutputSettings
from runtime.errors import Cancelled
from runtime.image.picture import Picture
from runtime.image.strip_source import StripReader
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints, Journal
from runtime.jobs.result import FileResult
from runtime.model.info import ModelInfo
from runtime.run.pipeline import Pipeline
from runtime.tiles.stitch import OnTile

LIMIT_S = 60
"""Time after which work counts as hung."""
SETTINGS = OutputSettings(format="png")


class NearestUpscaler:
    """Repeats every pixel; further behaviour is given."""

    info = ModelInfo(
        preset="nearest",
        scale=4,
        sample_type="uint8",
        size_multiple_px=1,
        halo_px=0,
        origin="a test",
    )

    def __init__(self, before: Callable[[Picture], None] = lambda picture: None) -> None:
        self.before = before
        self.cancelled = threading.Event()

    def submit_picture(
        self,
        picture: Picture,
        on_done: Callable[[Picture], None],
        *,
        on_tile: OnTile | None = None,
    ) -> None:
        self.before(picture)
        if self.cancelled.is_set():
            raise Cancelled
        if on_tile:
            on_tile(1.0)
        on_done(replace(picture, rgb_hwc=picture.rgb_hwc.repeat(4, axis=0).repeat(4, axis=1)))

    def upscale_picture(self, picture: Picture, *, on_tile: OnTile | None = None) -> Picture:
        results: list[Picture] = []
        self.submit_picture(picture, results.append, on_tile=on_tile)
        return results[0]

    def strips(self, reader: StripReader, *, on_tile: OnTile | None = None) -> Iterator[Picture]:
        height = reader.header.size_hw[0]
        for top in range(0, height, 2):
            if self.cancelled.is_set():
                raise Cancelled
            strip = reader.rows(top, min(height, top + 2))
            self.before(strip)
            yield replace(strip, rgb_hwc=strip.rgb_hwc.repeat(4, axis=0).repeat(4, axis=1))
            if on_tile:
                on_tile(min(1.0, (top + 2) / height))

    def strip_bytes(self, header: Picture) -> int:
        return header.nbytes * 32 // header.size_hw[0]

    def finish(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        self.cancelled.set()


class SilentProgress:
    """Records what was upscaled."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.shares: list[float] = []

    def start(self, pictures: int) -> None: ...
    def say(self, line: str) -> None: ...
    def fetching(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        raise AssertionError("nothing is fetched")

    def finished(self, result: FileResult) -> None: ...
    def stop(self) -> None: ...

    def upscaled(self, share: float) -> None:
        self.shares.append(share)

    def upscaling(
        self,
        name: str,
        source_size_hw: tuple[int, int],
        target_size_hw: tuple[int, int],
        *,
        frames: int = 1,
    ) -> None:
        self.names.append(name)


FINGERPRINTS = Fingerprints(pictures="f", clips="c")


class Bench:
    """A folder of small pictures and a pipeline over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.out.mkdir()
        self.progress = SilentProgress()
        self.upscaler = NearestUpscaler()
        self.journal = Journal(self.out)

    def jobs(self, count: int) -> list[Job]:
        jobs = []
        for number in range(count):
            name = f"{number:03}.png"
            Image.new("RGB", (6 + number % 3, 5), (number, 0, 0)).save(self.folder / name)
            jobs.append(Job(source=self.folder / name, target=self.out / name, name=name))
        return jobs

    def journal_says_done(self, job: Job) -> bool:
        with Journal(self.out, read_only=True) as journal:
            return journal.is_done(job, FINGERPRINTS.of(job))

    def pipeline(self, settings: OutputSettings = SETTINGS, **options: Any) -> Pipeline:
        return Pipeline(
            self.upscaler,
            settings,
            journal=self.journal,
            fingerprints=FINGERPRINTS,
            progress=self.progress,
            **options,
        )


def within_limit(work: Callable[[], Any]) -> Any:
    """Return or raise what the function does; fail if it hangs."""
    outcome: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive(), "the pipeline hangs"
    if errors:
        raise errors[0]
    return outcome[0]


def run(pipeline: Pipeline, jobs: list[Job]) -> dict[str, FileResult]:
    results = within_limit(lambda: list(pipeline.run(jobs)))
    assert pipeline.join(timeout_s=LIMIT_S), "threads are left over"
    by_name = {result.name: result for result in results}
    assert len(by_name) == len(results)
    return by_name
