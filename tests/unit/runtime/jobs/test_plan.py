from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError
from runtime.jobs.job import Plan
from runtime.jobs.names import unique_targets
from runtime.jobs.plan import plan_jobs

SETTINGS = OutputSettings()
PNG = OutputSettings(format="png")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?")
    return folder


def targets(plan: Plan) -> dict[str, str]:
    return {job.name: job.target.relative_to(plan.folder).as_posix() for job in plan.jobs}


def test_a_tree_is_recreated_in_a_fixed_order(tmp_path: Path) -> None:
    source = make(tmp_path / "in", "b.png", "sub/deep/c.jpg", "a.png", "sub/a.webp")
    plan = plan_jobs(source, tmp_path / "out", SETTINGS)
    assert list(targets(plan).items()) == [
        ("a.png", "a.png"),
        ("b.png", "b.png"),
        ("sub/a.webp", "sub/a.webp"),
        ("sub/deep/c.jpg", "sub/deep/c.jpg"),
    ]


def test_hidden_and_other_files_are_counted(tmp_path: Path) -> None:
    source = make(tmp_path / "in", "a.png", ".b.png", ".cache/c.png", "d.txt", "e", "f.PNG")
    plan = plan_jobs(source, tmp_path / "out", SETTINGS)
    assert [job.name for job in plan.jobs] == ["a.png", "f.PNG"]
    assert (plan.hidden, plan.other, plan.links) == (2, 2, 0)
    assert plan.ignored == "2 hidden, 2 not a picture"


def test_linked_folders_are_not_followed_but_linked_files_are(tmp_path: Path) -> None:
    source = make(tmp_path / "in", "a.png")
    (source / "loop").symlink_to(source, target_is_directory=True)
    (source / "b.png").symlink_to(source / "a.png")
    plan = plan_jobs(source, tmp_path / "out", SETTINGS)
    assert [job.name for job in plan.jobs] == ["a.png", "b.png"]
    assert plan.ignored == "1 linked folder"


def test_suffix_goes_before_the_extension(tmp_path: Path) -> None:
    source = make(tmp_path / "in", "a.b.png")
    plan = plan_jobs(source, tmp_path / "out", SETTINGS, suffix="_x4")
    assert targets(plan) == {"a.b.png": "a.b_x4.png"}


@pytest.mark.parametrize("suffix", ["/x", "../x", "a/b", "\0"])
def test_suffix_cannot_lead_elsewhere(tmp_path: Path, suffix: str) -> None:
    source = make(tmp_path / "in", "a.png")
    with pytest.raises(ConfigError, match="--suffix"):
        plan_jobs(source, tmp_path / "out", SETTINGS, suffix=suffix)


def test_colliding_names_keep_their_source_suffix_and_say_so(tmp_path: Path) -> None:
    source = make(tmp_path / "in", "a.jpg", "a.png", "a.webp", "b.jpg")
    plan = plan_jobs(source, tmp_path / "out", PNG)
    assert targets(plan) == {
        "a.jpg": "a.jpg.png",
        "a.png": "a.png",
        "a.webp": "a.webp.png",
        "b.jpg": "b.png",
    }
    notes = {job.name: job.notes for job in plan.jobs}
    assert notes["a.png"] == ()
    assert "a.jpg.png" in notes["a.jpg"][0]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["A.png", "a.png"], {"A.png": "A.png", "a.png": "a.png.png"}),
        (["a.jpg", "a.jpg.png"], {"a.jpg": "a.png", "a.jpg.png": "a.jpg.png"}),
        (
            ["a.jpg", "a.jpg.png", "a.png"],
            {"a.jpg": "a.jpg-2.png", "a.jpg.png": "a.jpg.png", "a.png": "a.png"},
        ),
        (["x.jpg", "x.png/y.png"], {"x.jpg": "x.jpg.png", "x.png/y.png": "x.png/y.png"}),
        (["é.png", "e\u0301.png"], {"é.png": "é.png.png", "e\u0301.png": "e\u0301.png"}),
    ],
)
def test_collisions(sources: list[str], expected: dict[str, str]) -> None:
    wishes = [(PurePosixPath(name), PurePosixPath(name).with_suffix(".png")) for name in sources]
    chosen = unique_targets(wishes)
    assert {str(source): str(target) for source, (target, _) in chosen.items()} == expected


def test_one_picture_into_a_folder_or_a_file(tmp_path: Path) -> None:
    source = make(tmp_path, "a.png") / "a.png"
    assert targets(plan_jobs(source, tmp_path / "out", SETTINGS)) == {"a.png": "a.png"}
    plan = plan_jobs(source, tmp_path / "large.JPEG", SETTINGS)
    assert plan.folder == tmp_path
    assert plan.jobs[0].target == tmp_path / "large.JPEG"


@pytest.mark.parametrize("name", ["out.png", "out.jp2", "results.v2", "2026.11.23"])
def test_an_existing_folder_may_have_dots_in_its_name(tmp_path: Path, name: str) -> None:
    source = make(tmp_path, "a.png") / "a.png"
    (tmp_path / name).mkdir()
    plan = plan_jobs(source, tmp_path / name, SETTINGS)
    assert plan.jobs[0].target == tmp_path / name / "a.png"


@pytest.mark.parametrize(
    ("output", "settings", "suffix", "message"),
    [
        ("b.png", OutputSettings(format="jpg"), "", "contradicts"),
        ("b.png", SETTINGS, "_x4", "in full"),
        ("taken.txt", SETTINGS, "", "is not a folder"),
        ("large.jp2", SETTINGS, "", r"names no writable format: .* \.png, \.jpg, "),
        ("large.HEIC", SETTINGS, "", "names no writable format"),
        ("large.pgn", SETTINGS, "", "names no writable format"),
        ("results.v2", SETTINGS, "", "make it first if there is a dot in its name"),
        ("a.png", SETTINGS, "", "would replace the source"),
        (".", SETTINGS, "", "would replace the source"),
        ("link.png", SETTINGS, "", "would replace the source"),
    ],
)
def test_refused_for_one_picture(
    tmp_path: Path, output: str, settings: OutputSettings, suffix: str, message: str
) -> None:
    make(tmp_path, "a.png", "taken.txt")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=message):
        plan_jobs(tmp_path / "a.png", tmp_path / output, settings, suffix=suffix)


@pytest.mark.parametrize("output", ["in", "in/out", "in/sub/../out", "link", "link/out", "in/."])
def test_output_in_input_is_refused(tmp_path: Path, output: str) -> None:
    source = make(tmp_path / "in", "a.png")
    (source / "sub").mkdir()
    (tmp_path / "link").symlink_to(source, target_is_directory=True)
    with pytest.raises(ConfigError, match="INPUT"):
        plan_jobs(source, tmp_path / output, SETTINGS)


def test_input_in_output_is_refused_only_if_a_source_would_be_replaced(tmp_path: Path) -> None:
    make(tmp_path, "in/a.png")
    assert plan_jobs(tmp_path / "in", tmp_path, SETTINGS).jobs
    make(tmp_path, "in/in/a.png")
    with pytest.raises(ConfigError, match="would replace the source"):
        plan_jobs(tmp_path / "in", tmp_path, SETTINGS)


@pytest.mark.parametrize("name", ["out.png", "out.gif"])
def test_a_folder_is_not_written_into_a_picture(tmp_path: Path, name: str) -> None:
    source = make(tmp_path / "in", "a.png")
    with pytest.raises(ConfigError, match="must be a folder"):
        plan_jobs(source, tmp_path / name, SETTINGS)


@pytest.mark.parametrize("name", ["missing", "dangling", "loop"])
def test_bad_input(tmp_path: Path, name: str) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match=name):
        plan_jobs(tmp_path / name, tmp_path / "out", SETTINGS)


def test_output_that_is_a_circle_of_links(tmp_path: Path) -> None:
    source = make(tmp_path / "in", "a.png")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with contextlib.suppress(ConfigError):  # Python 3.13 resolves it; making the folder fails
        assert plan_jobs(source, tmp_path / "loop", SETTINGS).folder == tmp_path / "loop"


def test_a_folder_that_cannot_be_listed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "in", "a.png", "locked/b.png")
    make(tmp_path, "locked/c.png")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    plan = plan_jobs(source, tmp_path / "out", SETTINGS)
    assert [job.name for job in plan.jobs] == ["a.png"]
    assert plan.unreadable == (("locked", "cannot list the folder: Permission denied"),)
    with pytest.raises(ConfigError, match=r"cannot access .*locked.*Permission denied"):
        plan_jobs(tmp_path / "locked", tmp_path / "out", SETTINGS)


class Entry:
    """An entry that cannot be examined, like a mount whose server is gone."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_symlink(self) -> bool:
        return False

    def is_dir(self) -> bool:
        raise OSError(107, "Transport endpoint is not connected")


def test_folders_below_that_fail_are_reported_and_the_rest_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that may be listed but not entered, one whose listing breaks off, a dead mount."""
    source = make(tmp_path / "in", "a.png", "bad/inner/b.png", "torn/c.png", "torn/d.png")
    real = os.scandir

    @contextlib.contextmanager
    def scandir(path: Path) -> Iterator[Iterator[object]]:
        if path.name == "inner":
            raise PermissionError(13, "Permission denied", str(path))
        with real(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)

        def given() -> Iterator[object]:
            yield from found[: 1 if path.name == "torn" else None]
            if path.name == "torn":
                raise OSError(5, "Input/output error")
            if path == source:
                yield Entry("mount")

        yield given()

    monkeypatch.setattr(os, "scandir", scandir)
    plan = plan_jobs(source, tmp_path / "out", SETTINGS)
    assert [job.name for job in plan.jobs] == ["a.png", "torn/c.png"]
    assert dict(plan.unreadable) == {
        "bad/inner": "cannot list the folder: Permission denied",
        "mount": "cannot list the folder: Transport endpoint is not connected",
        "torn": "cannot list the folder: Input/output error",
    }


def test_folders_of_storage_devices_are_left_out_and_counted(tmp_path: Path) -> None:
    names = ("@eaDir", "#recycle", ".thumbnails", "$RECYCLE.BIN", "__MACOSX", "sub/@eaDir")
    source = make(tmp_path / "in", "a.png", *(f"{name}/b.png" for name in names))
    plan = plan_jobs(source, tmp_path / "out", SETTINGS)
    assert [job.name for job in plan.jobs] == ["a.png"]
    assert (plan.hidden, plan.system) == (1, 5)
    assert plan.ignored == "1 hidden, 5 of a storage device or the system"
    assert plan_jobs(source / "@eaDir", tmp_path / "out", SETTINGS).jobs, "asked for by name"
