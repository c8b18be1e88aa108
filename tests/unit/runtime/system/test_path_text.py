from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.system.path_text import is_text, local_path, path_text, readable, text_bytes

ENCODINGS = {"LC_ALL=C": "ascii", "Latin-1": "latin-1", "UTF-8": "utf-8"}


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("name", ["é/猫.png".encode(), b"plain.png", b"\xff\xe9.png"])
def test_one_name_is_one_text_under_every_locale(
    monkeypatch: pytest.MonkeyPatch, encoding: str, name: bytes
) -> None:
    monkeypatch.setattr(os, "fsencode", lambda path: str(path).encode(encoding, "surrogateescape"))
    monkeypatch.setattr(os, "fsdecode", lambda path: path.decode(encoding, "surrogateescape"))
    local = os.fsdecode(name)
    text = path_text(Path(local))
    assert text == name.decode("utf-8", "surrogateescape")
    assert local_path(text) == local
    assert text_bytes(text) == name
    assert is_text(text) == (b"\xff" not in name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in/\udcc3\udca9.png: 24x20 → 96x80", "in/é.png: 24x20 → 96x80"),
        ("é.png", "é.png"),
        ("no UTF-8: \udcff", "no UTF-8: \udcff"),
    ],
)
def test_messages_are_mended(text: str, expected: str) -> None:
    assert readable(text) == expected
    assert readable(expected) == expected
