from __future__ import annotations

from pathlib import Path

import pytest

from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError
from runtime.jobs.job import Job, Origin, Plan
from runtime.jobs.plan import plan_jobs
from runtime.jobs.shard import Shard

FILE = Job(source=Path("in/a.png"), target=Path("out/a.png"), name="a.png")
OBJECT = Job(
    source=Path("/tmp/1.png"),
    target=Path("/tmp/1-out.png"),
    name="a.png",
    origin=Origin(url="s3://in/a.png", etag="1", size_bytes=3),
    target_url="s3://out/a.png",
)


def test_a_file_is_called_by_its_path_and_an_object_by_its_url() -> None:
    assert (FILE.place, FILE.shown_target) == (str(Path("in/a.png").absolute()), "out/a.png")
    assert (OBJECT.place, OBJECT.shown_target) == ("s3://in/a.png", "s3://out/a.png")


def test_what_was_ignored_is_summed_up() -> None:
    plan = Plan(jobs=(), folder=Path("out"), hidden=2, clips=1, links=1)
    assert plan.ignored == (
        "2 hidden, 1 video, for which pip install 'dggn[video]', 1 linked folder"
    )
    assert Plan(jobs=(), folder=Path("out"), links=3).ignored == "3 linked folders"
    assert Plan(jobs=(), folder=Path("out")).ignored == ""


def test_names_are_given_over_the_whole_tree(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "a.jpg", "a.bmp", "b.png"):
        (source / name).write_bytes(b"")
    plan = plan_jobs(source, tmp_path / "out", OutputSettings(format="png"))
    parts = [plan.part(Shard(index, 3)) for index in range(3)]
    jobs = [job for part in parts for job in part.jobs]
    assert sorted(jobs, key=lambda job: job.name) == sorted(plan.jobs, key=lambda job: job.name)
    assert all({*part.jobs, *part.others} == set(plan.jobs) for part in parts)


def test_one_picture_has_no_shards(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    plan = plan_jobs(tmp_path / "a.png", tmp_path / "out", OutputSettings())
    with pytest.raises(ConfigError, match="INPUT is one picture"):
        plan.part(Shard(0, 2))
