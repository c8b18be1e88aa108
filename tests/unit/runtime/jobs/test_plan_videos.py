from __future__ import annotations

from pathlib import Path

import pytest

from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError, MissingDependency
from runtime.jobs import plan as plan_module
from runtime.jobs.job import Job
from runtime.jobs.journal import Fingerprints
from runtime.jobs.plan import plan_jobs

PNG = OutputSettings(format="png")


def planned(source: Path, target: Path, *, suffix: str = "") -> dict[str, str]:
    plan = plan_jobs(source, target, PNG, suffix=suffix)
    return {job.name: job.target.relative_to(target.parent).as_posix() for job in plan.jobs}


@pytest.fixture(autouse=True)
def _with_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "can_read_clips", lambda: True)
    monkeypatch.setattr(plan_module, "require", lambda *names, extra: None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for name in ("a.png", "b.mp4", "b.avi", "b.mkv", "sub/c.MOV", "d.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"?")
    return folder


def test_videos_among_pictures(source: Path, tmp_path: Path) -> None:
    assert planned(source, tmp_path / "out", suffix="_x4") == {
        "a.png": "out/a_x4.png",
        "b.avi": "out/b_x4.avi.mkv",  # b.mkv has the plain name
        "b.mkv": "out/b_x4.mkv",
        "b.mp4": "out/b_x4.mp4",
        "sub/c.MOV": "out/sub/c_x4.MOV",
    }


def test_without_pyav_videos_are_counted(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "can_read_clips", lambda: False)
    plan = plan_jobs(source, tmp_path / "out", PNG)
    assert [job.name for job in plan.jobs] == ["a.png"]
    assert (plan.clips, plan.other) == (4, 1)
    assert "4 video, for which pip install 'dggn[video]'" in plan.ignored


def test_without_pyav_a_video_alone_is_an_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*names: str, extra: str) -> None:
        raise MissingDependency(f"pip install 'dggn[{extra}]'")

    monkeypatch.setattr(plan_module, "require", missing)
    with pytest.raises(MissingDependency, match="video"):
        plan_jobs(source / "b.mp4", tmp_path / "x.mp4", PNG)


def test_one_video(source: Path, tmp_path: Path) -> None:
    assert planned(source / "b.mp4", tmp_path / "x.mkv") == {"b.mp4": "x.mkv"}
    assert planned(source / "b.avi", tmp_path / "out") == {"b.avi": "out/b.mkv"}
    (tmp_path / "out").mkdir()
    assert planned(source / "b.mp4", tmp_path / "out", suffix="_4") == {"b.mp4": "out/b_4.mp4"}


@pytest.mark.parametrize(
    ("name", "target", "suffix", "message"),
    [
        ("b.mp4", "x.png", "", "not named like one"),
        ("b.mp4", "x.avi", "", "not named like one"),
        ("b.mp4", "x.mp4", "_x4", "--suffix"),
        ("a.png", "x.mp4", "", "names no writable format"),
        ("", "x.mp4", "", "named like a video"),
        ("b.mp4", "in", "", "would replace the source"),
    ],
)
def test_names_that_make_no_sense(
    source: Path, tmp_path: Path, name: str, target: str, suffix: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_jobs(source / name, tmp_path / target, OutputSettings(), suffix=suffix)


def test_videos_and_pictures_have_fingerprints_of_their_own(tmp_path: Path) -> None:
    fingerprints = Fingerprints(pictures="p", clips="c")
    for name, expected in (("a.png", "p"), ("a.MKV", "c"), ("a.gif", "p")):
        job = Job(source=tmp_path / name, target=tmp_path / "x", name=name)
        assert fingerprints.of(job) == expected
