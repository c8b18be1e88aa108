"""Names, ownership and sizes of results."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

from tests.support.dggn_run import files, make, run, start, statuses
from tests.support.processes import posix_only


def test_what_another_made_is_kept(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    result = run(photos, out, "--quiet", "--json")
    assert result.returncode == 1
    assert "a.png: SKIPPED" in result.stderr
    assert "--overwrite" in result.stderr
    assert (out / "a.png").read_bytes() == b"mine"
    assert statuses(json.loads(result.stdout))["b.jpg"] == "done"
    assert run(photos, out, "--overwrite").returncode == 0
    assert run(photos, out).returncode == 0
    with Image.open(out / "a.png") as image:
        assert image.size == (96, 80)


def test_two_folders_into_one_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(tmp_path / "one/a.png", (20, 24))
    make(tmp_path / "two/a.png", (24, 20))
    make(tmp_path / "two/b.png")
    assert run(tmp_path / "one", out).returncode == 0
    before = (out / "a.png").read_bytes()
    for options in (["--dry-run"], []):
        result = run(tmp_path / "two", out, *options)
        assert result.returncode == 1
        assert "a.png: SKIPPED: the output exists, and is the result of another" in result.stderr
        assert str(tmp_path / "one/a.png") in result.stderr
        assert (out / "a.png").read_bytes() == before
    assert files(out) == {"a.png", "b.png"}
    assert run(tmp_path / "one", out).returncode == 0
    assert run(tmp_path / "two", out, "--overwrite").returncode == 0
    assert (out / "a.png").read_bytes() != before


def test_a_name_that_passes_to_another_picture_of_the_folder(tmp_path: Path) -> None:
    """`a.jpg` is written as `a.png` until there is an `a.png`; then both are made again."""
    out = tmp_path / "out"
    make(tmp_path / "in/a.jpg")
    assert run(tmp_path / "in", out, "--format", "png").returncode == 0
    make(tmp_path / "in/a.png", (20, 24))
    assert run(tmp_path / "in", out, "--format", "png").returncode == 0
    assert files(out) == {"a.png", "a.jpg.png"}
    with Image.open(out / "a.png") as image:
        assert image.size == (80, 96)


@posix_only
def test_single_files_into_one_folder_at_once(tmp_path: Path) -> None:
    """As with `xargs -P`: later ones wait."""
    out = tmp_path / "out"
    sources = [make(tmp_path / f"{number}.png") for number in range(3)]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(start(source, target))
            for source, target in zip(sources, (out, out / "1.png", out), strict=True)
        ]
        for process in running:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    assert files(out) == {"0.png", "1.png", "2.png"}
    again = json.loads(run(sources[2], out, "--json").stdout)
    assert again["totals"]["up_to_date"] == 1


@posix_only
def test_names_too_long_for_the_disk_are_found_before_the_work(tmp_path: Path) -> None:
    name = "a" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4)
    make(tmp_path / "in" / f"{name}.png")
    make(tmp_path / "in/b.png")
    for options in (["--dry-run"], []):
        result = run(tmp_path / "in", tmp_path / "out", "--suffix", "_x4", "--json", *options)
        assert result.returncode == 1
        by_name = {file["name"]: file for file in json.loads(result.stdout)["files"]}
        assert by_name[f"{name}.png"]["status"] == "failed"
        assert "this disk allows" in by_name[f"{name}.png"]["message"]
        assert by_name[f"{name}.png"]["seconds"] == 0
        assert by_name["b.png"]["status"] == ("planned" if options else "done")
    assert files(tmp_path / "out") == {"b_x4.png"}


def test_one_picture_to_a_file_in_another_format(tmp_path: Path) -> None:
    source = make(tmp_path / "a.png", mode="RGBA")
    result = run(source, tmp_path / "large.jpg")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "large.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (96, 80))
    assert "a.png: 24x20 -> 96x80" in result.stderr
    assert "alpha was flattened" in result.stderr


def test_names_that_collide_after_a_format_change(tmp_path: Path) -> None:
    make(tmp_path / "in/a.png")
    make(tmp_path / "in/a.jpg")
    result = run(tmp_path / "in", tmp_path / "out", "--format", "png", "--suffix", "_x4")
    assert result.returncode == 0
    assert files(tmp_path / "out") == {"a_x4.png", "a_x4.jpg.png"}
    assert "written as a_x4.jpg.png" in result.stderr


def test_leftovers_of_a_killed_run_are_removed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    for folder in (out, out / "sub"):
        (folder / ".dggn-1-abc.partial").write_bytes(b"half a picture")
    (out / "mine.partial").write_bytes(b"kept")
    assert run(photos, out).returncode == 0
    assert files(out) == {"a.png", "b.jpg", "sub/c.webp", "mine.partial"}


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (("--scale", "1.5"), (36, 30)),
        (("--width", "50"), (50, 42)),
        (("--height", "50"), (60, 50)),
        (("--max-size", "50"), (50, 42)),
        (("--megapixels", "0.003"), (60, 50)),
        (("--width", "120", "--second-pass"), (120, 100)),
    ],
)
def test_any_size(tmp_path: Path, arguments: tuple[str, ...], size: tuple[int, int]) -> None:
    source, out = make(tmp_path / "a.png"), tmp_path / "out"
    planned = json.loads(run(source, out, *arguments, "--dry-run", "--json").stdout)
    result = run(source, out, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    for (file,) in (planned["files"], report["files"]):
        assert file["target_size_hw"] == [size[1], size[0]]
        assert len(file["notes"]) == ("--second-pass" in arguments)
    assert report["settings"] == planned["settings"]
    with Image.open(out / "a.png") as image:
        assert image.size == size
    again = json.loads(run(source, out, *arguments, "--json").stdout)
    assert again["totals"]["up_to_date"] == 1
