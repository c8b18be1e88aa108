"""Damage that libtiff finds becomes a note, not lines on standard error."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from runtime.codecs.decode import decode
from runtime.codecs.libtiff import DAMAGE_NOTE, libtiff_notes
from runtime.errors import ImageReadError

pytestmark = pytest.mark.skipif(
    not features.check("libtiff"), reason="the installed Pillow has no libtiff"
)


def fax(*, is_damaged: bool) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert("1").save(buffer, "TIFF", compression="group4")
    data = bytearray(buffer.getvalue())
    if is_damaged:
        data[8 : len(data) // 4] = bytes(byte ^ 0x5A for byte in data[8 : len(data) // 4])
    return bytes(data)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_fax(tmp_path: Path, capfd: pytest.CaptureFixture[str], is_damaged: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(fax(is_damaged=is_damaged))
    assert (DAMAGE_NOTE in decode(path).notes) == is_damaged
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate"])
def test_what_libtiff_gives_up_is_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str
) -> None:
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    Image.fromarray(noise).save(path, compression=compression)
    data = path.read_bytes()
    with Image.open(path) as image:
        (start,) = image.tag_v2[273]  # type: ignore[attr-defined]
    path.write_bytes(data[:start] + bytes(500) + data[start + 500 :])
    with pytest.raises(ImageReadError, match="is damaged"):
        decode(path)
    assert capfd.readouterr() == ("", "")


def test_other_threads_are_not_blamed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(fax(is_damaged=True))
    with libtiff_notes() as notes:
        thread = threading.Thread(target=decode, args=(path,))
        thread.start()
        thread.join()
    assert notes == []
