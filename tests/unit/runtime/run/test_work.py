from __future__ import annotations

import time
from pathlib import Path

import pytest

from runtime.image.strip_source import PictureReader
from runtime.jobs.job import Job
from runtime.run.work import Work
from tests.support.images import picture_of

JOB = Job(source=Path("in/a.png"), target=Path("out/a.png"), name="a.png", notes=("renamed",))


def test_a_picture_and_a_reader_both_tell_of_the_source() -> None:
    work, picture = Work(job=JOB), picture_of("rgb")
    assert work.see(picture) is picture
    assert work.picture is picture
    assert work.reader is None

    work, reader = Work(job=JOB), PictureReader(picture)
    assert work.see(reader).size_hw == picture.size_hw
    assert work.reader is reader
    assert work.picture is None


def test_stages_add_up_even_when_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    work = Work(job=JOB)
    with work.timed():
        pass
    with pytest.raises(OSError, match="disk"), work.timed():
        raise OSError("disk")
    assert work.result("done").seconds == 3.5


def test_only_a_finished_picture_has_a_target_and_notes() -> None:
    work = Work(job=JOB, source_size_hw=(5, 7), target_size_hw=(20, 28), notes=["reduced"])
    done = work.result("done")
    assert (done.target, done.target_size_hw) == (str(JOB.target), (20, 28))
    assert done.notes == ("renamed", "reduced")
    failed = work.result("failed", "damaged")
    assert (failed.target, failed.target_size_hw, failed.notes) == (None, None, ())
    assert (failed.name, failed.message, failed.source_size_hw) == ("a.png", "damaged", (5, 7))
