from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="needs the train extra")

from PIL import Image, ImageFilter

from dggn.metrics.features import LAYERS, SMALLEST_PX, feature_distance
from dggn.training.squeezenet import SqueezeNet
from runtime.errors import ModelError

COFFEE = Path(__file__).parents[4] / "examples" / "coffee.jpg"


def test_is_the_formula(
    squeezenet_file: Path,
    squeezenet_weights: dict[str, NDArray[np.float32]],
    photo: NDArray[np.uint8],
) -> None:
    other = photo[::-1].copy()
    network = SqueezeNet(squeezenet_weights, LAYERS)
    expected = 0.0
    features = [
        network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255) for image in (photo, other)
    ]
    for one, two in zip(*features, strict=True):
        a, b = (np.maximum(layer[0].numpy().astype(np.float64), 0) for layer in (one, two))
        unit_a, unit_b = (
            layer / np.maximum(np.sqrt((layer**2).sum(axis=0)), 1e-10) for layer in (a, b)
        )
        expected += ((unit_a - unit_b) ** 2).sum(axis=0).mean()
    measure = feature_distance(squeezenet_file)
    assert measure(photo, other) == pytest.approx(expected, rel=1e-5)
    assert measure(other, photo) == pytest.approx(expected, rel=1e-5)
    assert measure(photo, photo) == 0


def test_the_smallest_picture(squeezenet_file: Path, photo: NDArray[np.uint8]) -> None:
    measure = feature_distance(squeezenet_file)
    side = SMALLEST_PX
    assert measure(photo[:side, :side], photo[-side:, -side:]) > 0
    with pytest.raises(ValueError, match="needs 24 px"):
        measure(photo[: side - 1], photo[: side - 1])


def test_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.npz does not exist"):
        feature_distance(tmp_path / "none.npz")


def test_of_the_trained_network_blur_is_far_and_noise_farther(shared_data: Path) -> None:
    weights = shared_data / "perceptual" / "squeezenet1_0_imagenet.npz"
    if not weights.is_file():
        pytest.skip(f"{weights} is not on this machine")
    measure = feature_distance(weights)
    with Image.open(COFFEE) as opened:
        image = opened.convert("RGB").crop((100, 100, 300, 260))
    original = np.asarray(image)
    slight, strong = (
        np.asarray(image.filter(ImageFilter.GaussianBlur(radius))) for radius in (0.7, 2.0)
    )
    noise = np.random.default_rng(0).normal(0, 40, original.shape)
    noisy = np.clip(original + noise, 0, 255).astype(np.uint8)
    distances = [measure(one, original) for one in (slight, strong, noisy)]
    assert 0 < distances[0] < distances[1] < distances[2]
