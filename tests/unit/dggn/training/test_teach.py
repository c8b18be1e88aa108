from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("torch", reason="needs the train extra")

from dggn.data.degrade import degrade_bicubic
from dggn.data.pairs import read_pairs
from dggn.data.taught import TaughtSet, TeachOptions, pair_paths, read_taught
from dggn.training.teach import make_lr_picture, read_sources, teach
from runtime.errors import ConfigError, ImageReadError, ModelError, TargetError

OPTIONS = TeachOptions(size_px=16, seed=3, unreduced=0.3, graphics=0.2)
COUNT = 12


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, size in (("one.png", (160, 120)), ("two.png", (100, 240))):
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(folder / name)
    return folder


def repeat(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image_hwc.repeat(4, axis=0).repeat(4, axis=1)


def made(
    photographs: Path,
    target: Path,
    count: int = COUNT,
    options: TeachOptions = OPTIONS,
    **change: object,
) -> TaughtSet:
    settings = {"teacher": repeat, "teacher_sha256": "a" * 64, "on_progress": lambda *_: None}
    return teach(
        read_sources(photographs),
        target,
        options,
        count,
        **{**settings, **change},  # type: ignore[arg-type]
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_targets_are_what_the_teacher_made(photographs: Path, tmp_path: Path) -> None:
    taught = made(photographs, tmp_path / "set")
    assert len(taught.pairs) == COUNT
    assert {pair.source for pair in taught.pairs} == {"one.png", "two.png", "drawn"}
    pairs = read_pairs([tmp_path / "set"], target="teacher")
    assert len(pairs) == COUNT
    for pair in pairs:
        assert pair.size_lr_hw == pair.lr_hwc.shape[:2]
        assert np.array_equal(pair.hr_hwc, repeat(pair.lr_hwc))


def test_originals_are_kept_where_there_are_any(photographs: Path, tmp_path: Path) -> None:
    taught = made(photographs, tmp_path / "set")
    with_original = [pair for pair in taught.pairs if pair.original]
    assert 0 < len(with_original) < COUNT
    originals = read_pairs([tmp_path / "set"])
    assert [pair.name for pair in originals] == [pair.name for pair in with_original]
    mixed = read_pairs([tmp_path / "set"], target="teacher", originals=0.25)
    assert len(mixed) == COUNT + len(with_original)
    for one in taught.pairs:
        weights = [pair.weight for pair in mixed if pair.name == one.name]
        assert weights == ([0.75, 0.25] if one.original else [1.0])


def test_a_set_depends_on_its_settings_alone(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "one")
    made(photographs, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    sources = read_sources(photographs)
    first, again = (make_lr_picture(5, sources, OPTIONS)[0] for _ in range(2))
    other = make_lr_picture(5, sources, TeachOptions(size_px=16, seed=4))[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_clean_lr_pictures_are_only_reduced_and_results_stay_as_they_are(
    photographs: Path, tmp_path: Path
) -> None:
    options = TeachOptions(size_px=16, seed=3, unreduced=0.0, graphics=0.2, clean=True)
    folder = tmp_path / "set"
    taught = made(photographs, folder, options=options, teacher=lambda lr: 255 - repeat(lr))
    assert "drawn" in {pair.source for pair in taught.pairs}
    assert all(pair.original for pair in taught.pairs)
    lessons = read_pairs([folder], target="teacher")
    for lesson, plain in zip(lessons, read_pairs([folder]), strict=True):
        assert np.array_equal(lesson.lr_hwc, degrade_bicubic(plain.hr_hwc))
        assert np.array_equal(lesson.hr_hwc, 255 - repeat(lesson.lr_hwc))


def test_an_interrupted_set_goes_on_and_can_grow(photographs: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    made(photographs, whole)
    calls = 0

    def stops(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return repeat(image_hwc)

    with pytest.raises(KeyboardInterrupt):
        made(photographs, parts, teacher=stops)
    with pytest.raises(ConfigError, match="not completely taught: run `dggn-train teach` again"):
        read_pairs([parts], target="teacher")
    made(photographs, parts, count=8)
    pair = made(photographs, parts, count=8).pairs[2]
    # Only the truncated file is made again.
    pair_paths(parts, pair)["teacher"].write_bytes(b"P6")
    asked = 0

    def counted(image_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal asked
        asked += 1
        return repeat(image_hwc)

    made(photographs, parts, teacher=counted)
    assert asked == 1 + COUNT - 8
    assert contents(parts) == contents(whole)


def test_another_set_is_not_mixed_in(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "set", count=2)
    with pytest.raises(ConfigError, match="was started with another teacher"):
        made(photographs, tmp_path / "set", teacher_sha256="b" * 64)
    Image.new("RGB", (64, 64)).save(photographs / "three.png")
    with pytest.raises(ConfigError, match="was started with other source pictures"):
        made(photographs, tmp_path / "set")
    (photographs / "three.png").unlink()
    with pytest.raises(ConfigError, match=r"was started with other options.*seed=3"):
        teach(
            read_sources(photographs),
            tmp_path / "set",
            TeachOptions(size_px=16, seed=9),
            2,
            teacher=repeat,
            teacher_sha256="a" * 64,
            on_progress=lambda *_: None,
        )
    with pytest.raises(ConfigError, match="contains other files"):
        made(photographs, photographs)


def test_missing_files_are_named(photographs: Path, tmp_path: Path) -> None:
    taught = made(photographs, tmp_path / "set", count=3)
    pair_paths(tmp_path / "set", taught.pairs[1])["LR_x4"].unlink()
    with pytest.raises(ConfigError, match=r"lacks files of 1 of its 3 pairs, of 000001"):
        read_pairs([tmp_path / "set"], target="teacher")


def test_a_teacher_of_another_scale(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="enlarges 4 times"):
        made(photographs, tmp_path / "set", teacher=lambda lr: lr)


def test_a_damaged_source(photographs: Path, tmp_path: Path) -> None:
    whole = (photographs / "one.png").read_bytes()
    (photographs / "one.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageReadError, match="one.png"):
        made(photographs, tmp_path / "set")
    (photographs / "one.png").write_bytes(b"text")
    with pytest.raises(ConfigError, match="one.png cannot be read"):
        read_sources(photographs)


def test_a_full_disk_is_seen_before_the_work(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(TargetError, match="0.0 GB for 12 pairs, and 0.0 GB are free"):
        made(photographs, tmp_path / "set")


def test_a_damaged_manifest(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "set", count=2)
    manifest = tmp_path / "set" / "taught.jsonl"
    manifest.write_text(manifest.read_text().replace("dggn-taught-2", "dggn-taught-0"))
    with pytest.raises(ConfigError, match="damaged or of another version"):
        read_taught(tmp_path / "set")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 20}, "multiple of 8"),
        ({"unreduced": 0.8, "graphics": 0.3}, "at most 1 together"),
        ({"graphics": -0.1}, "at least 0"),
        ({"clean": True}, "unreduced must be 0"),
        ({"largest_reduction": 0.5}, "expected 1 to 8"),
    ],
)
def test_options_that_make_no_sense(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TeachOptions(**change)  # type: ignore[arg-type]
