"""Stores measured values in a file, so that an interrupted calibration resumes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.system.files import write_whole


class Ledger:
    """Measured values by name, saved after each one.

    Args:
        path: the file, created if missing.
        key: everything that the values depend on. Values with another key are discarded.

    Raises:
        TargetError: the file cannot be written.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self._path = path
        # As JSON gives it back, so that the comparison is of like with like.
        self._key = json.loads(json.dumps(key))
        self._values: dict[str, Any] = {}
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["key"] == self._key:
                self._values = dict(stored["values"])
        except (OSError, ValueError, KeyError, TypeError):
            # Nothing usable is there: everything is measured.
            self._values = {}
        self.found = len(self._values)
        """Number of values left by an earlier calibration."""
        self._save()

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return the value of a name, measuring it only if unknown.

        Args:
            name: name of the value, for example `cost image_trunk.3.fuse`.
            measure: returns the value, which must be valid JSON.

        Raises:
            TargetError: the file cannot be written.
        """
        if name not in self._values:
            self._values[name] = measure()
            self._save()
        return self._values[name]

    def _save(self) -> None:
        text = json.dumps({"key": self._key, "values": self._values}, indent=1, sort_keys=True)
        write_whole(self._path, text.encode())
