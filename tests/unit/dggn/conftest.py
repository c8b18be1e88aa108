"""What the tests of the model room share: a tiny generator and tiny pictures."""

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
    """A structure with every part of the real ones, in milliseconds."""
    return GeneratorConfig(
        width=8, image_units=2, gradient_units=1, upsampler_widths=(4, 4, 4), se_reduction=2
    )


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
