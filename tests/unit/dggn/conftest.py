"""Fixtures: a tiny generator and tiny pictures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dggn.model.config import GeneratorConfig


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """On tiny tensors a second thread only waits, the more so on a busy machine."""
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


@pytest.fixture
def tiny_config() -> GeneratorConfig:
    """A structure with every part of the real ones, which runs in milliseconds."""
    return GeneratorConfig(width=8, image_units=2, gradient_units=1, tail_width=4, se_reduction=2)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """(96, 112, 3), uint8: smooth areas, edges and texture, without any random numbers."""
    y, x = np.mgrid[0:96, 0:112]
    red = 128 + 100 * np.sin(x / 9.0) * np.cos(y / 7.0)
    green = np.where((x // 12 + y // 16) % 2, 200, 40)
    blue = (x * y) % 256
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


@pytest.fixture
def photo_folder(tmp_path: Path, photo: NDArray[np.uint8]) -> Path:
    """A folder with two PNG pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "one.png")
    Image.fromarray(photo[::-1, ::-1].copy()).save(folder / "two.png")
    return folder


@pytest.fixture
def squeezenet_weights() -> dict[str, NDArray[np.float32]]:
    """A SqueezeNet's weights with few channels, random."""
    random = np.random.default_rng(0)
    weights: dict[str, NDArray[np.float32]] = {}

    def add(name: str, outputs: int, inputs: int, kernel: int) -> None:
        shape = (outputs, inputs, kernel, kernel)
        weights[f"{name}.weight"] = random.normal(0, (inputs * kernel**2) ** -0.5, shape).astype(
            np.float32
        )
        weights[f"{name}.bias"] = random.normal(0, 0.1, outputs).astype(np.float32)

    add("conv1", 6, 3, 7)
    for fire in range(2, 10):
        add(f"fire{fire}/conv1x1_1", 2, 6, 1)
        add(f"fire{fire}/conv1x1_2", 3, 2, 1)
        add(f"fire{fire}/conv3x3_2", 3, 2, 3)
    add("conv_final", 5, 6, 1)
    return weights


@pytest.fixture
def squeezenet_file(tmp_path: Path, squeezenet_weights: dict[str, NDArray[np.float32]]) -> Path:
    """The same as a file."""
    path = tmp_path / "squeezenet.npz"
    np.savez(path, allow_pickle=False, **squeezenet_weights)
    return path
