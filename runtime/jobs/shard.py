"""One of several equal parts of a run, each for a machine of its own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from runtime.errors import ConfigError
from runtime.system.path_text import text_bytes


@dataclass(frozen=True, slots=True)
class Shard:
    """The pictures whose names hash to one of several numbers.

    Not every n-th picture: jobs of an array may start hours apart, and find another listing.
    """

    index: int
    """From 0."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a shard from the command line, for example `3/16`.

        Raises:
            ConfigError: it is none, or out of range.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if not match:
            raise ConfigError(f"--shard is {text!r}: expected NUMBER/COUNT, for example 0/16")
        index, count = map(int, match.groups())
        if not index < count:
            expected = f"0/{count} to {count - 1}/{count}" if count else "at least one shard"
            raise ConfigError(
                f"--shard is {text!r}, which is out of range: numbers start at 0, "
                f"expected {expected}"
            )
        return cls(index, count)

    def holds(self, name: str) -> bool:
        """Return whether a picture belongs to it.

        Args:
            name: the picture relative to INPUT, the same on every machine: `path_text`.
        """
        digest = hashlib.sha256(text_bytes(name)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
