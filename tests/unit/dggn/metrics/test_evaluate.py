from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.data.bicubic import bicubic_resize
from dggn.metrics.evaluate import (
    PictureScores,
    evaluate,
    evaluate_images,
    find_benchmark,
    mean,
    path_pairs,
)
from dggn.metrics.systems import enlarge_bicubic
from runtime.errors import ConfigError, ModelError


@pytest.fixture
def lr_folder(tmp_path: Path, photo: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "lr"
    folder.mkdir()
    reduced = bicubic_resize(photo, Fraction(1, 4))
    Image.fromarray(reduced).save(folder / "one.bmp")
    Image.fromarray(reduced[::-1, ::-1].copy()).save(folder / "two.png")
    return folder


def test_published_figures_ofenlarge_bicubic(benchmark_folder: Path) -> None:
    # Published, on slightly different crops: 28.42/0.8104 and 26.00/0.7027.
    for name, psnr_db, ssim in (("Set5", 28.43, 0.8111), ("Set14", 26.09, 0.7048)):
        benchmark = find_benchmark(benchmark_folder / name)
        assert benchmark.name == name
        figures = mean(list(evaluate(enlarge_bicubic, benchmark.pairs)))
        assert figures["psnr_db"] == pytest.approx(psnr_db, abs=0.02)
        assert figures["ssim"] == pytest.approx(ssim, abs=0.001)


def test_a_perfect_model(photo_folder: Path, photo: NDArray[np.uint8]) -> None:
    (result, _) = evaluate(lambda _: photo, path_pairs(photo_folder, None))
    assert result.name == "one.png"
    assert result.scores["psnr_db"] == math.inf
    assert result.scores["ssim"] == pytest.approx(1)


def test_metrics_see_the_result_and_its_reference(photo_folder: Path) -> None:
    def error(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
        return float(np.mean(image.astype(float) - reference))

    pairs = path_pairs(photo_folder, None)
    (one, _) = evaluate(lambda lr: np.full((96, 112, 3), 9, np.uint8), pairs, {"error": error})
    assert one.scores.keys() == {"error"}
    assert one.scores["error"] < -50


def test_given_reductions_are_used(photo_folder: Path, lr_folder: Path) -> None:
    made = list(evaluate(enlarge_bicubic, path_pairs(photo_folder, None)))
    assert list(evaluate(enlarge_bicubic, path_pairs(photo_folder, lr_folder))) == made
    Image.new("RGB", (28, 24)).save(lr_folder / "one.bmp")
    (one, _) = evaluate(enlarge_bicubic, path_pairs(photo_folder, lr_folder))
    assert one.scores["psnr_db"] < made[0].scores["psnr_db"]


def test_benchmark_folders(photo_folder: Path, lr_folder: Path, tmp_path: Path) -> None:
    plain = find_benchmark(photo_folder)
    assert (plain.name, [pair.lr for pair in plain.pairs]) == ("photos", [None, None])
    benchmark = tmp_path / "Set2"
    benchmark.mkdir()
    photo_folder.rename(benchmark / "HR")
    assert [pair.lr for pair in find_benchmark(benchmark).pairs] == [None, None]
    lr_folder.rename(benchmark / "LR_x4")
    found = find_benchmark(benchmark)
    assert found.name == "Set2"
    assert [pair.lr.name for pair in found.pairs if pair.lr] == ["one.bmp", "two.png"]


def test_pictures_of_any_program(
    photo_folder: Path, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    results = tmp_path / "sr"
    results.mkdir()
    Image.fromarray(photo).save(results / "one.bmp")
    # An HR picture of 95x111 has a result of 92x108.
    Image.fromarray(photo[:95, :111]).save(photo_folder / "two.png")
    Image.fromarray(photo[:92, :108]).save(results / "two.png")
    figures = list(evaluate_images(photo_folder, results))
    assert [one.scores["psnr_db"] for one in figures] == [math.inf, math.inf]
    Image.fromarray(photo[:90, :108]).save(results / "two.png")
    with pytest.raises(ConfigError, match=r"two\.png is 108x90: expected 111x95, the size of"):
        list(evaluate_images(photo_folder, results))
    (results / "one.bmp").unlink()
    with pytest.raises(ConfigError, match=r"lacks the results of 1 pictures"):
        list(evaluate_images(photo_folder, results))


def test_missing_reductions_are_named(photo_folder: Path, lr_folder: Path) -> None:
    (lr_folder / "one.bmp").unlink()
    with pytest.raises(ConfigError, match=r"lacks the reductions of 1 pictures .*\(one\)"):
        path_pairs(photo_folder, lr_folder)


def test_ambiguous_names(photo_folder: Path, lr_folder: Path) -> None:
    Image.new("RGB", (28, 24)).save(lr_folder / "one.png")
    with pytest.raises(ConfigError, match="have one name"):
        path_pairs(photo_folder, lr_folder)


def test_models_of_another_scale(photo_folder: Path) -> None:
    with pytest.raises(ModelError, match="made 56x48 px of one.png, expected 112x96"):
        list(evaluate(lambda lr: lr.repeat(2, 0).repeat(2, 1), path_pairs(photo_folder, None)))


def test_pictures_too_small_to_measure(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "small.png")
    with pytest.raises(ConfigError, match=r"small\.png cannot be measured: .*11x11"):
        list(evaluate(enlarge_bicubic, path_pairs(tmp_path, None)))


def test_mean() -> None:
    values = [
        PictureScores(name="a", scores={"psnr_db": 30, "ssim": 0.8}),
        PictureScores(name="b", scores={"psnr_db": 34, "ssim": 0.9}),
    ]
    assert mean(values) == pytest.approx({"psnr_db": 32, "ssim": 0.85})
