"""Paths as text that is the same under every locale.

Python decodes file names as the locale says: under `LC_ALL=C` the two bytes of an é become two lone
surrogates, under a Latin-1 locale two other letters. What runs keep for each other, compare, or
write for others to read is therefore what the bytes are in UTF-8; bytes that are no UTF-8 are lone
surrogates there too. Windows has names of text, which stay as they are.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePath

_ESCAPED = re.compile("[\udc80-\udcff]+")


def path_text(path: str | PurePath) -> str:
    """Return a path of this system as text for any system."""
    if os.name == "nt":
        return str(path)
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def local_path(text: str) -> str:
    """Return the path of this system that `path_text` gives as this text."""
    return text if os.name == "nt" else os.fsdecode(text_bytes(text))


def text_bytes(text: str) -> bytes:
    """Return the bytes of a text from `path_text`, which are those of the name."""
    return text.encode("utf-8", "surrogatepass" if os.name == "nt" else "surrogateescape")


def is_text(text: str) -> bool:
    """Return whether a text from `path_text` is one, and not bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """Mend the names in a message that were decoded under `LC_ALL=C`; idempotent."""

    def mended(escaped: re.Match[str]) -> str:
        return escaped[0].encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    return _ESCAPED.sub(mended, text)
