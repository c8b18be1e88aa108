"""Cache of the kernels that TensorRT-RTX compiles when an engine first runs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from runtime.errors import TargetError
from runtime.system.files import write_whole

SUFFIX = ".kernels"
MAX_BYTES = 1 << 30
_logger = logging.getLogger(__name__)


class KernelCache:
    """Runtime cache of one engine; TensorRT itself checks whether it is still valid."""

    def __init__(self, path: Path, cache: Any) -> None:
        self._path = path
        self._cache = cache
        self._kept = b""
        try:
            if path.stat().st_size <= MAX_BYTES:
                self._kept = path.read_bytes()
        except OSError:
            return  # none was kept
        if not cache.deserialize(self._kept):
            _logger.info("%s belongs to another GPU, driver or library: rebuilding it", path)

    @classmethod
    def beside(cls, engine: Path, config: Any) -> KernelCache | None:
        """Return the cache stored beside an engine; None if the library has none.

        Args:
            engine: the plan's path; the cache's has another suffix.
            config: the engine's runtime configuration, changed to use the cache.
        """
        if not hasattr(config, "create_runtime_cache"):
            return None
        cache = config.create_runtime_cache()
        if cache is None:
            return None
        kept = cls(engine.with_name(engine.name + SUFFIX), cache)
        config.set_runtime_cache(cache)
        return kept

    def save(self) -> None:
        """Write the cache if it grew; on a full disk, the next start just takes longer."""
        memory = self._cache.serialize()
        content = b"" if memory is None else bytes(memory)
        if not content or content == self._kept:
            return
        try:
            write_whole(self._path, content)
        except TargetError as error:
            _logger.warning("the next start will take longer: %s", error)
