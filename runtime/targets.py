"""The folders that results are written to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import TargetError
from runtime.whole_file import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, is_leftover

_logger = logging.getLogger(__name__)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they do not exist.

    Raises:
        TargetError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = next(
            (path for path in (folder, *folder.parents) if path.is_file() or path.is_symlink()),
            folder,
        )
        raise TargetError(
            f"cannot make the output folder {folder}: {in_the_way} is not a folder. "
            "Choose another OUTPUT, or move it away"
        ) from error
    except OSError as error:
        raise TargetError(
            f"cannot make the output folder {folder}: {error.strerror or error}. "
            "Choose another OUTPUT"
        ) from error


def remove_temporaries(folders: Iterable[Path]) -> None:
    """Remove what a killed run left half written; not what another run is writing."""
    for folder in folders:
        for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            try:
                if is_leftover(path):
                    path.unlink()
            except FileNotFoundError:
                pass  # complete, or removed by another run
            except OSError as error:
                _logger.warning("cannot remove the leftover %s: %s", path, error)
