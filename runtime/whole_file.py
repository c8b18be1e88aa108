"""Files that appear when they are complete."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from runtime.errors import TargetError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename; its folder is made if missing.

    What was at `path` before stays until the new content is complete.

    Raises:
        TargetError: it cannot be written; nothing of it is left.
    """
    partial = path.with_name(f".dggn-{os.getpid()}-{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        # Also when someone presses Ctrl-C meanwhile.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
