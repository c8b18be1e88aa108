from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from dggn.metrics.fidelity import peak_signal_noise_ratio, structural_similarity
from dggn.metrics.luma import luma_bt601


@pytest.fixture
def pictures() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two (40, 48, 3) pictures made from integers, the same on every machine."""
    y, x = np.mgrid[0:40, 0:48]
    blue = (5 * x + 11 * y) % 256
    first = np.stack([(7 * x + 3 * y) % 256, (x * y) % 256, blue], axis=-1)
    second = np.stack([(7 * x + 3 * y + (x * y) % 9) % 256, (x * y + y % 7) % 256, blue], axis=-1)
    return first.astype(np.uint8), second.astype(np.uint8)


# The two values below are scikit-image 0.26.0's, from
#     luma = lambda image: rgb2ycbcr(image)[4:-4, 4:-4, 0]
#     peak_signal_noise_ratio(luma(first), luma(second), data_range=255)
#     structural_similarity(luma(first), luma(second), data_range=255, gaussian_weights=True,
#                           sigma=1.5, use_sample_covariance=False)


def test_psnr_is_that_of_scikit_image(
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    assert peak_signal_noise_ratio(*pictures) == pytest.approx(24.730538057821313, abs=1e-9)


def test_ssim_is_that_of_scikit_image(
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    assert structural_similarity(*pictures) == pytest.approx(0.9188634928513248, abs=1e-9)


def test_both_are_those_of_an_installed_scikit_image(photo: NDArray[np.uint8]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    worse = np.clip(photo.astype(int) + np.arange(112)[None, :, None] % 23, 0, 255).astype(np.uint8)
    lumas = [luma_bt601(image)[4:-4, 4:-4] for image in (photo, worse)]
    assert peak_signal_noise_ratio(worse, photo) == pytest.approx(
        metrics.peak_signal_noise_ratio(*lumas, data_range=255)
    )
    assert structural_similarity(worse, photo) == pytest.approx(
        metrics.structural_similarity(
            *lumas, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def test_equal_pictures(photo: NDArray[np.uint8]) -> None:
    assert peak_signal_noise_ratio(photo, photo) == math.inf
    assert structural_similarity(photo, photo) == pytest.approx(1.0, abs=1e-12)


def test_psnr_by_hand() -> None:
    # One grey level of 255 is 219/255 of a level of luma.
    black = np.zeros((20, 20, 3), np.uint8)
    expected = 20 * math.log10(255 / (219 / 255))
    assert peak_signal_noise_ratio(black, black + np.uint8(1)) == pytest.approx(expected)


def test_border_is_left_out(photo: NDArray[np.uint8]) -> None:
    framed = photo.copy()
    framed[:4] = framed[-4:] = 0
    framed[:, :4] = framed[:, -4:] = 0
    assert peak_signal_noise_ratio(framed, photo) == math.inf
    assert peak_signal_noise_ratio(framed, photo, border_px=3) < 60
    assert peak_signal_noise_ratio(framed, photo, border_px=0) < 30


def test_sizes_that_cannot_be_compared(photo: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="differ in size"):
        peak_signal_noise_ratio(photo, photo[1:])
    with pytest.raises(ValueError, match="nothing is left"):
        peak_signal_noise_ratio(photo[:8], photo[:8])
    with pytest.raises(ValueError, match="11x11"):
        structural_similarity(photo[:18], photo[:18])
    with pytest.raises(ValueError, match="must not be negative"):
        peak_signal_noise_ratio(photo, photo, border_px=-1)
    structural_similarity(photo[:19, :19], photo[:19, :19])
