"""Files that cannot be read are rejected by name, with the reason."""

from __future__ import annotations

import io
import itertools
import os
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime.codecs import decode as decode_module
from runtime.codecs.decode import decode
from runtime.codecs.header import read_outline
from runtime.codecs.large_header import read_large_header
from runtime.errors import ImageReadError
from tests.support.images import (
    saved,
    written,
)


def encoded(name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, name, **options)
    return buffer.getvalue()


def png_declared(width: int, height: int) -> bytes:
    """A 64 x 64 PNG that declares another size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rest = encoded("PNG")[33:]
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + rest


BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"<!DOCTYPE html><title>404</title>",
    "zeros": lambda: bytes(4096),
    "png-signature-only": lambda: b"\x89PNG\r\n\x1a\n",
    **{
        f"{name}-half": lambda name=name: encoded(name)[: len(encoded(name)) // 2]  # type: ignore[misc]
        for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
    },
    "png-wrong-checksum": lambda: encoded("PNG").replace(b"IDAT", b"IDAU"),
    "png-altered": lambda: encoded("PNG")[:99] + b"\xff" + encoded("PNG")[100:],
    "bomb": lambda: png_declared(60_000, 60_000),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 3 2\n",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ImageReadError, match=r"^photo\.png: \w") as caught:
        decode(written(tmp_path / "photo.png", BAD[kind]()))
    assert len(str(caught.value)) < 250
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "file is empty"),
        ("text", "a web page, perhaps a failed download"),
        ("zeros", "not a picture that can be read: expected an intact PNG, JPEG"),
        ("JPEG-half", "damaged .*truncated"),
        ("bomb", "at most 178,956,970 are read"),
    ],
)
def test_reason_is_stated(tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(ImageReadError, match=words):
        decode(written(tmp_path / "photo.png", BAD[kind]()))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"gone\.png: does not exist"):
        decode(tmp_path / "gone.png")


def test_file_that_vanishes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))

    def vanish(path: Path) -> bytes:
        path.unlink()
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "read_bytes", vanish)
    with pytest.raises(ImageReadError, match=r"^a\.png: cannot be read: No such file"):
        decode(path)


@pytest.mark.parametrize("read", [decode, read_outline, read_large_header])
def test_a_file_out_of_reach_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))

    def refuse(path: Path, *arguments: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageReadError, match=r"cannot be read: Permission denied$"):
        read(path)


def test_folder_named_like_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.mkdir()
    with pytest.raises(ImageReadError, match="not a regular file"):
        decode(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    os.mkfifo(path)
    with pytest.raises(ImageReadError, match="not a regular file"):
        decode(path)


def test_file_beyond_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))
    monkeypatch.setattr(decode_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(ImageReadError, match="at most 10 are read"):
        decode(path)


def test_bound_holds_where_pillows_was_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 5)
    with pytest.raises(ImageReadError, match="3 x 2 pixels; at most 5"):
        decode(path)


def test_large_but_readable_does_not_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (3, 2), 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
    assert decode(path).size_hw == (2, 3)


def test_threads_leave_the_warning_filters_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (64, 64)))
    original = Image.open
    sleeps = itertools.cycle([0.001, 0.007, 0.003])

    def slow(*args: Any, **options: Any) -> Image.Image:
        time.sleep(next(sleeps))  # so that threads would leave in another order than they came
        return original(*args, **options)

    monkeypatch.setattr(Image, "open", slow)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(decode, [path] * 24))) == 24
    assert list(warnings.filters) == before
