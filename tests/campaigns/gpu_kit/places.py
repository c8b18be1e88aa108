"""Places that both kits measure on: tiles, photographs, and the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from runtime.backends.cuda.device import Device

EXAMPLE = Path(__file__).parents[3] / "examples" / "coffee.jpg"
PHOTOGRAPH_PX = (1024, 768)


def tiles_of(side_px: int, count: int) -> Any:
    """Tiles of an enlarged photograph: (N, side_px, side_px, 3), uint8."""
    with Image.open(EXAMPLE) as picture:
        whole = np.asarray(picture.convert("RGB").resize(PHOTOGRAPH_PX))
    height, width = (size - side_px for size in whole.shape[:2])
    corners = [(37 * n % height, 101 * n % width) for n in range(count)]
    return np.stack([whole[top : top + side_px, left : left + side_px] for top, left in corners])


def make_photographs(folder: Path, *, rehearse: bool) -> Path:
    """Make 48 pictures of 1024x768; JPEG."""
    folder.mkdir(exist_ok=True)
    with Image.open(EXAMPLE) as picture:
        large = picture.convert("RGB").resize((64, 48) if rehearse else PHOTOGRAPH_PX)
    for number in range(2 if rehearse else 48):
        large.rotate(number).save(folder / f"{number:02}.jpg", quality=92)
    return folder


def open_device(*, rehearse: bool) -> Device:
    """The GPU, or the host in its place."""
    if rehearse:
        from tests.support.host_device import HostDevice

        return HostDevice()
    from runtime.backends.cuda.open import open_device as open_gpu

    return open_gpu(0)
