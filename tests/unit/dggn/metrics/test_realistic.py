from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dggn.data.history import History, apply_history
from dggn.metrics.evaluate import FIDELITY, evaluate, find_benchmark, mean
from dggn.metrics.realistic import (
    RealisticSet,
    draw_measured_history,
    measure_realistic,
    middle_sized,
)
from dggn.metrics.systems import enlarge_bicubic
from dggn.settings import from_mapping
from runtime.errors import ConfigError, ModelError


def test_the_set_depends_on_its_seed_alone(photo_folder: Path) -> None:
    first, again, other = (
        [one.pair.lr_hwc for one in RealisticSet(photo_folder, seed)] for seed in (0, 0, 1)
    )
    assert [lr.shape for lr in first] == [(24, 28, 3)] * 2
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(first, other, strict=True))


def test_histories_are_what_the_documents_say() -> None:
    histories = [draw_measured_history(number, 0) for number in range(400)]
    names = [history.filter for history in histories]
    assert names[:5] == ["lanczos", "box", "bilinear", "bicubic", "lanczos"]
    for number, history in enumerate(histories):
        assert bool(history.blur_px) == (history.filter == "bilinear")
        assert bool(history.noise_after.luma) == (number % 8 >= 4)
    assert max(history.noise_after.luma for history in histories) == pytest.approx(8, abs=0.3)
    qualities = [save.quality for history in histories for save in history.saves]
    assert (len(qualities), min(qualities), max(qualities)) == (400, 60, 90)


@pytest.mark.parametrize(
    ("size_hw", "expected_hw"),
    [
        ((1500, 2000), (768, 1024)),
        ((2000, 1500), (1024, 768)),
        ((1000, 2000), (768, 1024)),
        ((768, 1030), (768, 1024)),
        ((321, 481), (320, 480)),
        ((3, 50), (0, 48)),
    ],
)
def test_pictures_get_a_middle_size(size_hw: tuple[int, int], expected_hw: tuple[int, int]) -> None:
    y, x = np.mgrid[0 : size_hw[0], 0 : size_hw[1]]
    ramps = np.stack([255 * y / size_hw[0], 255 * x / size_hw[1], 0 * x], axis=-1)
    middle = middle_sized(ramps.astype(np.uint8))
    assert middle.shape[:2] == expected_hw
    if middle.size:
        # Cropped equally at both sides.
        assert np.abs(middle[..., :2].mean(axis=(0, 1)) - 127).max() < 2


def test_what_is_kept_is_what_was_measured(photo_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "kept"
    pictures = RealisticSet(photo_folder, 3)
    results = dict(
        measure_realistic(pictures, ["bicubic"], FIDELITY, benchmark="two", output=output)
    )
    assert list(results) == ["bicubic", "originals"]
    assert mean(results["originals"].pictures) == {"psnr_db": np.inf, "ssim": pytest.approx(1)}
    kept = find_benchmark(output)
    assert tuple(evaluate(enlarge_bicubic, kept.pairs)) == results["bicubic"].pictures
    histories = json.loads((output / "histories.json").read_text())
    for one in pictures:
        history = from_mapping(History, histories[one.stem], where="a history")
        assert np.array_equal(apply_history(one.pair.hr_hwc, history), one.pair.lr_hwc)
        with Image.open(output / "bicubic" / f"{one.stem}.png") as image:
            assert np.array_equal(np.asarray(image), enlarge_bicubic(one.pair.lr_hwc))


def test_mistakes_are_named(photo_folder: Path, tmp_path: Path) -> None:
    pictures = RealisticSet(photo_folder, 0)

    def run(models: list[str], output: Path | None = None) -> None:
        list(measure_realistic(pictures, models, FIDELITY, benchmark="two", output=output))

    with pytest.raises(ConfigError, match=r"photos contains other files: choose a new"):
        run(["bicubic"], photo_folder)
    with pytest.raises(ConfigError, match=r"b/one\.onnx and a/one\.onnx are both called one"):
        run(["a/one.onnx", "b/one.onnx"])
    with pytest.raises(ConfigError, match=r"HR\.onnx and something else here are both called HR"):
        run(["HR.onnx"])
    with pytest.raises(ModelError, match=r"none\.onnx"):
        run([str(tmp_path / "none.onnx")], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    Image.new("RGB", (3, 40)).save(photo_folder / "tiny.png")
    with pytest.raises(ConfigError, match=r"tiny\.png is too small to reduce"):
        list(RealisticSet(photo_folder, 0))
