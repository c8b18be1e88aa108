from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dggn.data.colours import with_colours_of


def picture(seed: int, height: int, width: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(40, 216, (4, 5, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def test_a_shifted_result_gets_its_colours_back() -> None:
    result = np.asarray(picture(0, 96, 128))
    lr = np.asarray(Image.fromarray(result).reduce(4))
    shifted = np.clip(result.astype(int) + np.array([9, -5, 3]), 0, 255).astype(np.uint8)
    corrected = with_colours_of(lr, shifted)
    assert np.abs(corrected.astype(int) - result).max() <= 1


def test_texture_stays() -> None:
    lr = np.full((24, 24, 3), 128, np.uint8)
    checks = (np.indices((96, 96)).sum(axis=0) % 2 * 60 + 98).astype(np.uint8)
    result = np.repeat(checks[..., None], 3, axis=2)
    assert np.array_equal(with_colours_of(lr, result), result)


def test_as_the_network_does() -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    import torch
    from torch.nn import functional as F

    from dggn.model.enlargement import ColourKeeping, Enlargement

    lr, result = np.asarray(picture(1, 20, 28)), np.asarray(picture(2, 80, 112))
    image, wanted = (
        torch.from_numpy(one.transpose(2, 0, 1)[None].copy()).float() for one in (lr, result)
    )
    enlargement = Enlargement()
    detail = F.pixel_unshuffle(wanted, 4) - enlargement(image)
    detail += enlargement(ColourKeeping()(image, detail))
    kept = F.pixel_shuffle(enlargement(image) + detail, 4)
    expected = kept[0].permute(1, 2, 0).clamp(0, 255).numpy()
    # Beyond the border, one repeats the last pixel and the other averages less: within rounding.
    assert np.abs(with_colours_of(lr, result) - expected).max() <= 0.51
