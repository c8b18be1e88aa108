from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dggn.data.bicubic import bicubic_resize
from dggn.metrics.niqe import (
    FEATURES,
    Pristine,
    _asymmetric_gaussian,
    halved,
    natural_image_quality,
    niqe_metric,
    read_pristine,
)
from runtime.errors import ModelError

ASTRONAUT = Path(__file__).parents[4] / "examples" / "astronaut.png"


def gaussian_window() -> NDArray[np.float64]:
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(line, line)
    return np.asarray(window / window.sum())


def made_up() -> dict[str, Any]:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(FEATURES, FEATURES))
    return {
        "mu_pris_param": random.random((1, FEATURES)),
        "cov_pris_param": mixing @ mixing.T,
        "gaussian_window": gaussian_window(),
    }


@pytest.fixture
def parameters(tmp_path: Path) -> Path:
    path = tmp_path / "pristine.npz"
    np.savez(path, **made_up())
    return path


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    """(200, 300, 3)."""
    with Image.open(ASTRONAUT) as image:
        rgb = np.asarray(image.convert("RGB"))
    return np.hstack([rgb, rgb[:, ::-1]])[:200, :300].copy()


@pytest.mark.parametrize(("shape", "draw"), [(2.0, "normal"), (1.0, "laplace")])
def test_shapes_of_distributions_are_found(shape: float, draw: str) -> None:
    values = getattr(np.random.default_rng(0), draw)(size=200_000) * 3
    values[values > 0] *= 2
    alpha, left, right = _asymmetric_gaussian(values.astype(np.float32))
    # Stretching one side moves no mass, so that the shape is only nearly kept.
    assert alpha == pytest.approx(shape, rel=0.15)
    assert right / left == pytest.approx(2, rel=0.02)


def test_symmetric_distributions_are_found_exactly() -> None:
    random = np.random.default_rng(0)
    alpha, left, right = _asymmetric_gaussian(random.normal(0, 3, 400_000).astype(np.float32))
    assert alpha == pytest.approx(2, abs=0.02)
    assert left == pytest.approx(3 * 2**0.5, rel=0.01)
    assert right == pytest.approx(3 * 2**0.5, rel=0.01)


def test_half_the_size_as_matlab_does_it(photo: NDArray[np.uint8]) -> None:
    expected = bicubic_resize(photo, Fraction(1, 2))[..., 0]
    result = halved(photo[..., 0].astype(np.float64))
    assert result.shape == expected.shape
    # Inside; at the borders MATLAB mirrors. The other is rounded between its passes.
    assert np.abs(np.clip(result, 0, 255) - expected)[2:-2, 2:-2].max() <= 1


def test_is_the_distance_to_pristine_pictures(astronaut: NDArray[np.uint8]) -> None:
    # So distant and wide that the picture's mean and covariance do not matter.
    far = np.zeros(FEATURES)
    far[5] = 1e6
    for width in (1.0, 2.0):
        wide = np.eye(FEATURES) * 2e12 * width**2
        pristine = Pristine(mean=far, covariance=wide, window=gaussian_window())
        assert natural_image_quality(astronaut, pristine) == pytest.approx(1 / width, rel=1e-4)


def test_the_metric_looks_at_the_picture_alone(
    parameters: Path, astronaut: NDArray[np.uint8]
) -> None:
    measure = niqe_metric(parameters)
    away = measure(astronaut, astronaut)
    assert away == natural_image_quality(astronaut, read_pristine(parameters))
    assert measure(astronaut, np.zeros_like(astronaut)) == away
    assert measure(astronaut[:, ::-1], astronaut) != away


def test_only_whole_blocks_inside_the_border_count(
    parameters: Path, astronaut: NDArray[np.uint8]
) -> None:
    pristine = read_pristine(parameters)
    changed = astronaut.copy()
    changed[:4], changed[:, :4] = 0, 0
    changed[4 + 192 :], changed[:, 4 + 288 :] = 255, 0
    value = natural_image_quality(astronaut, pristine)
    assert natural_image_quality(changed, pristine) == value
    changed[60:160, 60:160] = 255 - changed[60:160, 60:160]
    assert natural_image_quality(changed, pristine) != value


def test_too_small_or_too_flat(parameters: Path, astronaut: NDArray[np.uint8]) -> None:
    pristine = read_pristine(parameters)
    natural_image_quality(astronaut[:104, :200], pristine)
    with pytest.raises(ValueError, match="2 blocks of 96x96 .* found 1 in 199x104 px"):
        natural_image_quality(astronaut[:104, :199], pristine)
    with pytest.raises(ValueError, match="found 0 in 200x103 px"):
        natural_image_quality(astronaut[:103, :200], pristine)
    with pytest.raises(ValueError, match="found 0 in 300x200 px"):
        natural_image_quality(np.full_like(astronaut, 90), pristine)
    partly_flat = astronaut[:104].copy()
    natural_image_quality(partly_flat, pristine)
    partly_flat[:, 96:] = 255
    with pytest.raises(ValueError, match="found 1 in 300x104 px"):
        natural_image_quality(partly_flat, pristine)


@pytest.mark.parametrize("name", ["mu_pris_param", "cov_pris_param", "gaussian_window"])
def test_files_of_another_kind(tmp_path: Path, name: str) -> None:
    path = tmp_path / "other.npz"
    arrays = made_up()
    np.savez(path, **{key: value for key, value in arrays.items() if key != name})
    with pytest.raises(ModelError, match=rf"other\.npz has no {name}: expected NIQE's parameters"):
        read_pristine(path)
    np.savez(path, **(arrays | {name: arrays[name][:, :-1]}))
    with pytest.raises(ModelError, match=rf"{name} of .*other\.npz is \("):
        read_pristine(path)
    np.savez(path, **(arrays | {name: arrays[name] * np.nan}))
    with pytest.raises(ModelError, match="finite"):
        read_pristine(path)
    np.savez(path, **(arrays | {name: arrays[name].astype(str)}))
    with pytest.raises(ModelError, match="floating-point"):
        read_pristine(path)


def test_a_window_must_be_a_mean(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, **(made_up() | {"gaussian_window": gaussian_window() * 2}))
    with pytest.raises(ModelError, match="sums to 2: expected 1"):
        read_pristine(path)


def test_damaged_files(tmp_path: Path, parameters: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.npz does not exist: expected NIQE's parameters"):
        read_pristine(tmp_path / "none.npz")
    whole = parameters.read_bytes()
    damaged = tmp_path / "damaged.npz"
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:200] + b"x" + whole[201:]):
        damaged.write_bytes(content)
        with pytest.raises(ModelError, match=r"damaged\.npz is damaged or of another type"):
            read_pristine(damaged)


def published(shared_data: Path) -> Path:
    path = shared_data / "metrics" / "niqe_pris_params.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    return path


def test_set5_as_basicsr_measures_it(shared_data: Path) -> None:
    pristine = read_pristine(published(shared_data))
    figures = []
    for path in sorted((shared_data / "benchmark" / "Set5" / "HR").glob("*.png")):
        with Image.open(path) as image:
            figures.append(natural_image_quality(np.asarray(image.convert("RGB")), pristine))
    assert np.mean(figures) == pytest.approx(5.44, abs=0.01)  # BasicSR 1.4.2


def test_disturbed_pictures_are_farther(shared_data: Path, astronaut: NDArray[np.uint8]) -> None:
    pristine = read_pristine(published(shared_data))
    blurred = np.asarray(Image.fromarray(astronaut).filter(ImageFilter.GaussianBlur(3)))
    noise = np.random.default_rng(0).normal(0, 40, astronaut.shape)
    noisy = np.clip(astronaut + noise, 0, 255).astype(np.uint8)
    whole, *others = (natural_image_quality(one, pristine) for one in (astronaut, blurred, noisy))
    assert whole + 1 < min(others)
