"""LR pictures as the world makes them: by cameras, by the programs that reduce, by the web.

A picture's history is drawn first and can be kept beside it; the picture follows from the
history alone. Most histories are mild, because most pictures are: a model that has only seen
bad ones takes skin and fabric for noise.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dggn.data.bicubic import bicubic_resize
from dggn.model.config import SCALE
from runtime.errors import ConfigError

ALIASED = "bicubic-aliased"
"""Bicubic without antialiasing: four pixels a side, wherever the others went."""

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    ALIASED: None,
}
"""Filters that reduce, by name, and what Pillow calls them where it has them."""

UNREDUCED = "none"
"""In a filter's place: the picture keeps its size."""

JPEG_BLOCK_PX = 8

CHROMA_GRAIN_PX = 2
"""Side of a grain of chroma noise: cameras smooth colour more than light."""

MIDDLE_LEVEL = 128.0
"""Luma at which shot noise has its nominal strength."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Sensor noise, standard deviations in levels of 255."""

    luma: float = 0.0
    """Grey noise."""

    chroma: float = 0.0
    """Coloured noise, in grains of `CHROMA_GRAIN_PX`."""

    shot: bool = False
    """Grows with the square root of the light, as the count of photons does."""


@dataclass(frozen=True, kw_only=True)
class Save:
    """One time that a picture was saved as JPEG."""

    quality: int
    """libjpeg's, 1 to 95."""

    subsampled: bool
    """Chroma of half the resolution (4:2:0) instead of the full one (4:4:4)."""

    shift_yx: tuple[int, int] = (0, 0)
    """Where the picture's corner lay in a block of 8x8 px: elsewhere than now if it was cropped
    afterwards."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What happens to an HR picture on its way to an LR picture, in this order."""

    seed: int
    """Of the noise."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, in HR pixels."""

    noise_before: Noise = Noise()
    """Of the HR picture."""

    filter: str = "bicubic"
    """Reduces to a quarter, one of `FILTERS`, or `UNREDUCED`."""

    noise_after: Noise = Noise()
    """Of the LR picture."""

    sharpen_percent: int = 0
    """Strength of an unsharp mask on the LR picture."""

    sharpen_px: float = 1.0
    """Its radius, in LR pixels."""

    saves: tuple[Save, ...] = ()
    """As JPEG; none for a picture that was never lossy."""


@dataclass(frozen=True, kw_only=True)
class Realism:
    """How often each step of a history happens, and how strong it is at most.

    The defaults are for photographs.
    """

    filters: tuple[tuple[str, float], ...] = (
        ("lanczos", 0.3),
        ("bicubic", 0.3),
        ("box", 0.15),
        ("bilinear", 0.15),
        (ALIASED, 0.1),
    )
    """Filters that reduce, and the share of pictures of each."""

    blurred: float = 0.4
    """Share of pictures that are blurred before they are reduced."""

    blur_px: tuple[float, float] = (0.3, 2.5)
    """Standard deviation of that blur, in HR pixels."""

    noisy_before: float = 0.5
    """Share with noise before the reduction."""

    noisy_after: float = 0.4
    """Share with noise after the reduction."""

    most_noise: float = 8.0
    """Levels; weak noise is drawn more often than strong noise."""

    sharpened: float = 0.2
    """Share that is sharpened after the reduction."""

    saves: tuple[float, float, float] = (0.15, 0.55, 0.3)
    """Shares that are saved as JPEG never, once and twice."""

    quality: tuple[int, int, int] = (40, 85, 95)
    """JPEG qualities: lowest, most frequent, highest."""

    subsampled: float = 0.65
    """Share of JPEGs with 4:2:0."""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.filters]
        if unknown := [name for name in names if name not in FILTERS]:
            raise ConfigError(f"no filter is called {unknown[0]!r}: choose {', '.join(FILTERS)}")
        for what, shares in (
            ("filters", [part for _, part in self.filters]),
            ("saves", self.saves),
        ):
            if abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
                raise ConfigError(f"the shares of {what} are {shares}: expected a sum of 1")


PHOTOGRAPHS = Realism()

GRAPHICS = Realism(
    blurred=0.05,
    noisy_before=0.0,
    noisy_after=0.0,
    sharpened=0.1,
    saves=(0.6, 0.3, 0.1),
)
"""For screenshots, text and drawings: no sensor has seen them, and most are PNGs."""


def draw_history(
    random: np.random.Generator, realism: Realism = PHOTOGRAPHS, *, reduced: bool = True
) -> History:
    """Draw what happens to one picture.

    Args:
        random: where all numbers are drawn from.
        realism: how often, and how strong.
        reduced: False for a picture that keeps its size, and is saved once more at least.
    """
    shares = [share for _, share in realism.filters]
    name = realism.filters[int(random.choice(len(shares), p=shares))][0]
    blurred, sharpened = random.random() < realism.blurred, random.random() < realism.sharpened
    saves = int(random.choice(3, p=realism.saves))
    return History(
        seed=int(random.integers(1 << 32)),
        blur_px=float(random.uniform(*realism.blur_px)) if blurred else 0.0,
        noise_before=_draw_noise(random, realism.noisy_before, realism.most_noise),
        filter=name if reduced else UNREDUCED,
        noise_after=_draw_noise(random, realism.noisy_after, realism.most_noise),
        sharpen_percent=int(random.integers(30, 121)) if sharpened else 0,
        sharpen_px=float(random.uniform(0.5, 1.5)),
        saves=_draw_saves(random, realism, saves if reduced else max(saves, 1)),
    )


def live_through(hr_hwc: NDArray[np.uint8], history: History) -> NDArray[np.uint8]:
    """The LR picture that an HR picture becomes.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB; (H, W, 3) where the history keeps the size.
        history: what happens; equal histories give equal pictures.

    Returns:
        (H, W, 3), uint8 RGB.

    Raises:
        ValueError: the size is no multiple of 4, or the filter is unknown.
    """
    random = np.random.default_rng(history.seed)
    picture = hr_hwc
    if history.blur_px:
        picture = _filtered(picture, ImageFilter.GaussianBlur(history.blur_px))
    picture = add_noise(picture, history.noise_before, random)
    if history.filter != UNREDUCED:
        picture = reduce(picture, history.filter)
    picture = add_noise(picture, history.noise_after, random)
    if history.sharpen_percent:
        mask = ImageFilter.UnsharpMask(history.sharpen_px, history.sharpen_percent, threshold=0)
        picture = _filtered(picture, mask)
    for one in history.saves:
        picture = save_as_jpeg(picture, one)
    return picture


def degrade_realistic(
    hr_hwc: NDArray[np.uint8], random: np.random.Generator, realism: Realism = PHOTOGRAPHS
) -> NDArray[np.uint8]:
    """Draw a history and let an HR picture live through it.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB.
        random: where all numbers are drawn from.
        realism: how often each step happens, and how strong it is.

    Returns:
        (H, W, 3), uint8 RGB.
    """
    return live_through(hr_hwc, draw_history(random, realism))


def reduce(hr_hwc: NDArray[np.uint8], filter_name: str) -> NDArray[np.uint8]:
    """Reduce to a quarter; no filter shifts the picture.

    Args:
        hr_hwc: (4H, 4W, 3), uint8 RGB.
        filter_name: one of `FILTERS`.

    Returns:
        (H, W, 3), uint8 RGB.

    Raises:
        ValueError: the size is no multiple of 4, or the filter is unknown.
    """
    height, width = hr_hwc.shape[:2]
    if height % SCALE or width % SCALE:
        raise ValueError(f"the picture is {width}x{height}: expected multiples of {SCALE}")
    if filter_name not in FILTERS:
        raise ValueError(f"no filter is called {filter_name!r}: choose {', '.join(FILTERS)}")
    resampling = FILTERS[filter_name]
    if resampling is None:
        return bicubic_resize(hr_hwc, Fraction(1, SCALE), antialias=False)
    image = Image.fromarray(np.ascontiguousarray(hr_hwc))
    return np.array(image.resize((width // SCALE, height // SCALE), resampling))


def add_noise(
    image_hwc: NDArray[np.uint8], noise: Noise, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Add sensor noise to a picture, (H, W, 3), uint8 RGB."""
    if not noise.luma and not noise.chroma:
        return image_hwc
    height, width = image_hwc.shape[:2]
    luma = random.standard_normal((height, width), np.float32) * noise.luma
    grains = -(-height // CHROMA_GRAIN_PX), -(-width // CHROMA_GRAIN_PX)
    chroma = random.standard_normal((2, *grains), np.float32) * noise.chroma
    blue, red = chroma.repeat(CHROMA_GRAIN_PX, 1).repeat(CHROMA_GRAIN_PX, 2)[:, :height, :width]
    # From YCbCr (BT.601, as in JPEG) to RGB.
    added = np.stack([luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.772 * blue])
    if noise.shot:
        light = image_hwc @ np.array([0.299, 0.587, 0.114], np.float32)
        added *= np.sqrt(light / MIDDLE_LEVEL)
    noisy: NDArray[np.float32] = image_hwc + added.transpose(1, 2, 0)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def save_as_jpeg(image_hwc: NDArray[np.uint8], save: Save) -> NDArray[np.uint8]:
    """A picture, (H, W, 3), uint8 RGB, as it comes back from a JPEG file."""
    top, left = save.shift_yx
    around = np.pad(image_hwc, ((top, 0), (left, 0), (0, 0)), mode="edge")
    subsampling = "4:2:0" if save.subsampled else "4:4:4"
    with io.BytesIO() as file:
        Image.fromarray(around).save(file, "JPEG", quality=save.quality, subsampling=subsampling)
        file.seek(0)
        with Image.open(file) as image:
            return np.asarray(image, np.uint8)[top:, left:].copy()


def _draw_noise(random: np.random.Generator, share: float, most: float) -> Noise:
    is_noisy, is_shot = random.random() < share, random.random() < 0.5
    # The square prefers weak noise: half of the noisy pictures have a quarter of the most.
    luma, chroma = most * random.random(2) ** 2
    return Noise(luma=float(luma), chroma=float(chroma / 2), shot=is_shot) if is_noisy else Noise()


def _draw_saves(random: np.random.Generator, realism: Realism, count: int) -> tuple[Save, ...]:
    saves = []
    for number in range(count):
        is_last = number == count - 1
        was_cropped = not is_last and random.random() < 0.5
        shift = random.integers(JPEG_BLOCK_PX, size=2) if was_cropped else (0, 0)
        saves.append(
            Save(
                quality=round(random.triangular(*realism.quality)),
                subsampled=bool(random.random() < realism.subsampled),
                shift_yx=(int(shift[0]), int(shift[1])),
            )
        )
    return tuple(saves)


def _filtered(image_hwc: NDArray[np.uint8], kernel: ImageFilter.Filter) -> NDArray[np.uint8]:
    filtered = Image.fromarray(np.ascontiguousarray(image_hwc)).filter(kernel)
    return np.asarray(filtered, np.uint8)
