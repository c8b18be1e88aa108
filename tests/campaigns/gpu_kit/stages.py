"""Stages of a run: each is timed, may fail alone, and is kept in a file as soon as it is over."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.system.files import make_folder, write_whole


class Stages:
    """One run within a time.

    Args:
        results: JSON file, written anew after every stage.
        seconds: that the run may take.
    """

    def __init__(self, results: Path, seconds: float) -> None:
        self._results = results
        self._ends_at = time.monotonic() + seconds
        make_folder(results.parent)
        self.found: dict[str, Any] = {"seconds": {}, "problems": {}}

    @property
    def left_s(self) -> float:
        """Time left."""
        return self._ends_at - time.monotonic()

    def run(self, name: str, work: Callable[[dict[str, Any]], None], *, needs_s: float = 0) -> None:
        """Run one stage; its error becomes a problem, and the next one begins.

        Args:
            name: of the stage.
            work: given where to keep what it finds.
            needs_s: it is left out with less time than that.
        """
        begun = time.monotonic()
        out: dict[str, Any] = {}
        self.found[name] = out
        try:
            if self.left_s < needs_s:
                raise TimeoutError(f"{self.left_s:.0f} s are left, and it needs {needs_s:.0f}")
            work(out)
        except Exception as error:  # noqa: BLE001 - the other stages go on
            self.found["problems"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc(limit=-3, file=sys.stdout)
        took = time.monotonic() - begun
        self.found["seconds"][name] = round(took, 2)
        self.keep()
        print(f"[{took:6.1f} s, {self.left_s:6.1f} s left] {name}", flush=True)

    def keep(self) -> None:
        """Write what has been found so far."""
        write_whole(self._results, json.dumps(self.found, indent=1).encode())
