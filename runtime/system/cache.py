"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_VARIABLE = "DGGN_CACHE"
"""Environment variable that moves the cache folder."""


def user_cache() -> Path:
    """Return the cache folder, which may not exist yet.

    `$DGGN_CACHE`; else as the system wants it: `%LOCALAPPDATA%` on Windows, `$XDG_CACHE_HOME` or
    `~/.cache` elsewhere, and `dggn` in it.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    return _system_cache() / "dggn"


def _system_cache() -> Path:
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA", "")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: relative paths are to be ignored.
    return Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache"
