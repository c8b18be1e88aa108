"""Where this user's commands keep what can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_VARIABLE = "DGGN_CACHE"
"""Names another folder for everything that this user's commands keep."""


def cache_folder(kind: str) -> Path:
    """A folder of this user's cache; it need not exist.

    `$DGGN_CACHE/KIND`; else as the system wants it: `%LOCALAPPDATA%` on Windows,
    `$XDG_CACHE_HOME` or `~/.cache` elsewhere, and `dggn/KIND` in it.

    Args:
        kind: what is kept there: `engines` or `models`.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named) / kind
    return _system_cache() / "dggn" / kind


def _system_cache() -> Path:
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: relative paths are to be ignored.
    return Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache"
