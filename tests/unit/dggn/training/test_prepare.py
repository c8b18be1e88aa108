from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.data.crops import CropSampler
from dggn.data.folder import read_rgb
from dggn.data.pairs import Pair, read_pairs
from dggn.data.prepared import MANIFEST_NAME, Manifest, PrepareOptions
from dggn.training.prepare import Prepared, prepare, show_sources, window_starts
from runtime.errors import ConfigError, ImageReadError
from runtime.system import terminal
from runtime.system.files import whole_file

SMALL = PrepareOptions(size_px=48, step_px=24)


def run(source: Path, target: Path, options: PrepareOptions = SMALL) -> Manifest:
    return prepare(source, target, options, on_source=lambda _: None)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("size_hw", "count"), [((1356, 2040), 40), ((1536, 2040), 48), ((2040, 2040), 64)]
)
def test_windows_of_the_papers_pictures(size_hw: tuple[int, int], count: int) -> None:
    rows, columns = (window_starts(size, PrepareOptions()) for size in size_hw)
    assert len(rows) * len(columns) == count
    assert rows[-1] == size_hw[0] - 480
    assert columns[-1] == size_hw[1] - 480


def test_sub_images_of_div2k() -> None:
    """The paper's count (Section 4.2), from the pictures' sizes alone."""
    name = os.environ.get("DGGN_DIV2K")
    if name is None:
        pytest.skip("DGGN_DIV2K does not name a folder with DIV2K's 800 training pictures")
    paths = sorted(Path(name).glob("*.png"))
    assert len(paths) == 800
    count = 0
    for path in paths:
        with Image.open(path) as image:
            rows, columns = (
                window_starts(size // 4 * 4, PrepareOptions())
                for size in (image.height, image.width)
            )
        count += len(rows) * len(columns)
    assert count == 32_592


def test_short_axes_are_kept_whole() -> None:
    assert window_starts(320, PrepareOptions()) == [0]
    assert window_starts(480, PrepareOptions()) == [0]
    assert window_starts(484, PrepareOptions()) == [0, 4]


def test_sub_images_and_their_reductions(
    photo_folder: Path, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(photo[:43, :30]).save(photo_folder / "one.png")
    manifest = run(photo_folder, tmp_path / "set")
    assert manifest.complete
    one, two = manifest.sources
    assert [(sub.name, sub.height, sub.width) for sub in one.sub_images] == [("one_s001", 40, 28)]
    # 96x112: rows at 0, 24 and 48, columns at 0, 24, 48 and 64.
    assert len(two.sub_images) == 12
    whole = photo[::-1, ::-1]
    reduced = bicubic_resize(whole, Fraction(1, 4))
    last = read_rgb(tmp_path / "set" / "HR" / "two_s012.ppm")
    assert np.array_equal(last, whole[48:, 64:])
    last_lr = read_rgb(tmp_path / "set" / "LR_x4" / "two_s012.ppm")
    assert np.array_equal(last_lr, reduced[12:, 16:])


def test_pictures_are_cut_at_several_scales(
    photo_folder: Path, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(photo[:5, :4]).save(photo_folder / "two.png")
    manifest = run(photo_folder, tmp_path / "set", replace(SMALL, scales=(1.0, 0.75, 0.5)))
    one, two = manifest.sources
    # 96x112 in 12, 72x84 in 2x3 and 48x56 in 1x2; the tiny one at its own size only.
    sizes = [(sub.height, sub.width) for sub in one.sub_images]
    assert sizes == [(48, 48)] * (12 + 6 + 2)
    assert [(sub.height, sub.width) for sub in two.sub_images] == [(4, 4)]
    reduced = bicubic_resize(photo, Fraction(3, 4))
    sub_image = read_rgb(tmp_path / "set" / "HR" / "one_s018.ppm")
    assert np.array_equal(sub_image, reduced[24:72, 36:84])
    sub_image_lr = read_rgb(tmp_path / "set" / "LR_x4" / "one_s018.ppm")
    assert np.array_equal(sub_image_lr, bicubic_resize(reduced, Fraction(1, 4))[6:18, 9:21])


def test_a_prepared_set_is_read_like_pictures(photo_folder: Path, tmp_path: Path) -> None:
    run(photo_folder, tmp_path / "set")
    pairs = read_pairs([tmp_path / "set"])
    assert len(pairs) == 24
    assert pairs[-1].name == "two_s012"
    for pair in pairs:
        path = tmp_path / "set" / "HR" / f"{pair.name}.ppm"
        assert np.array_equal(pair.hr_hwc, read_rgb(path))
        assert pair.lr_hwc.shape == (*pair.size_lr_hw, 3) == (12, 12, 3)


def test_crops_of_a_prepared_set_are_those_of_its_pictures(
    photo_folder: Path, tmp_path: Path
) -> None:
    run(photo_folder, tmp_path / "set")
    stored = read_pairs([tmp_path / "set"])
    loaded = [Pair(name=one.name, lr_hwc=one.lr_hwc, hr_hwc=one.hr_hwc) for one in stored]
    batches = [
        CropSampler(pairs, batch_size=16, patch_lr_px=8, seed=0).batch(3)
        for pairs in (stored, loaded)
    ]
    assert all(map(np.array_equal, *batches))
    (tmp_path / "set" / "HR" / "one_s001.ppm").write_bytes(b"P6 short")
    with pytest.raises(ImageReadError, match="prepare the pictures again"):
        CropSampler(stored[:1], batch_size=1, patch_lr_px=8, seed=0).batch(0)


def test_an_interrupted_preparation_goes_on_to_the_same_set(
    photo_folder: Path, tmp_path: Path
) -> None:
    run(photo_folder, tmp_path / "whole")

    def interrupt(prepared: Prepared) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        prepare(photo_folder, target, SMALL, on_source=interrupt)
    with pytest.raises(ConfigError, match="not completely prepared"):
        read_pairs([target])
    with (target / MANIFEST_NAME).open("a") as file:
        file.write('{"name": "cut o')
    first = target / "HR" / "one_s001.ppm"
    written_ns = first.stat().st_mtime_ns
    run(photo_folder, target)
    assert content(target) == content(tmp_path / "whole")
    assert first.stat().st_mtime_ns == written_ns


def test_what_a_kill_left_is_swept_up(photo_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "set"
    target.mkdir()
    (target / ".dggn-7-prepared.jsonl.partial").write_text("{")
    run(photo_folder, target)
    (target / "HR" / ".dggn-8-one_s001.ppm.partial").write_bytes(b"P6")
    run(photo_folder, target)
    run(photo_folder, tmp_path / "fresh")
    assert content(target) == content(tmp_path / "fresh")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_what_another_run_writes_there_is_not(photo_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "set"
    run(photo_folder, target)
    with whole_file(target / "HR" / "other.ppm") as file:
        file.write(b"P6")
        run(photo_folder, target)
    assert (target / "HR" / "other.ppm").read_bytes() == b"P6"


def test_changed_sources_are_cut_again(
    photo_folder: Path, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    target = tmp_path / "set"
    run(photo_folder, target)
    Image.fromarray(photo[:48, :48]).save(photo_folder / "two.png")
    (photo_folder / "one.png").rename(photo_folder / "three.png")
    run(photo_folder, target)
    run(photo_folder, tmp_path / "fresh")
    assert content(target) == content(tmp_path / "fresh")
    # And for a removed sub-image.
    (target / "HR" / "two_s001.ppm").unlink()
    run(photo_folder, target)
    assert content(target) == content(tmp_path / "fresh")


def test_bad_pictures_are_listed_and_skipped(photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "bad.png").write_bytes(b"not a picture")
    Image.new("RGB", (3, 50)).save(photo_folder / "thin.png")
    told: list[Prepared] = []
    manifest = prepare(photo_folder, tmp_path / "set", SMALL, on_source=told.append)
    problems = {source.name: source.problem for source in manifest.sources if source.problem}
    assert "bad.png: not a readable picture" in problems["bad.png"]
    assert problems["thin.png"] == "it is 3x50: too small to reduce"
    assert [one.done for one in told] == [1, 2, 3, 4]
    assert len(read_pairs([tmp_path / "set"])) == 24


def test_folders_and_options_that_make_no_sense(photo_folder: Path, tmp_path: Path) -> None:
    run(photo_folder, tmp_path / "set")
    with pytest.raises(ConfigError, match=r"step 24 and scales 1\.0, not size 48, step 48"):
        run(photo_folder, tmp_path / "set", PrepareOptions(size_px=48, step_px=48))
    with pytest.raises(ConfigError, match="lies inside"):
        run(photo_folder, photo_folder / "set")
    with pytest.raises(ConfigError, match="contains other files"):
        run(photo_folder, tmp_path)
    with pytest.raises(ConfigError, match="multiples of 4"):
        PrepareOptions(size_px=50)
    with pytest.raises(ConfigError, match="step is 52 and their size 48: a step above the size"):
        PrepareOptions(size_px=48, step_px=52)
    for scales in ((), (0.05,), (1.5,)):
        with pytest.raises(ConfigError, match="expected one or more from 0.1 to 1"):
            PrepareOptions(scales=scales)
    Image.new("RGB", (9, 9)).save(photo_folder / "one.jpg")
    with pytest.raises(ConfigError, match="have one name"):
        run(photo_folder, tmp_path / "other")


def test_damaged_manifests_are_named(photo_folder: Path, tmp_path: Path) -> None:
    run(photo_folder, tmp_path / "set")
    (tmp_path / "set" / MANIFEST_NAME).write_text('{"format": "another"}\n')
    with pytest.raises(ConfigError, match=r"prepared\.jsonl is damaged or of another version"):
        read_pairs([tmp_path / "set"])


def test_plain_lines_without_a_terminal(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine, one would still be in progress.
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 1e9)
    stream = io.StringIO()
    with show_sources(stream) as on_source:
        prepare(photo_folder, tmp_path / "set", SMALL, on_source=on_source)
    assert stream.getvalue() == (
        " 50.0%  1 of 2 pictures  one.png\n100.0%  2 of 2 pictures  two.png\n"
    )
