"""Reads arrays from .npz files without unpickling anything."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError


def read_npz(path: Path, expected: str) -> dict[str, NDArray[np.generic]]:
    """Read all arrays of a file.

    Args:
        path: path of the file.
        expected: description of the expected file, with its article, for error messages.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        # Opened here: numpy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist: expected {expected}") from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # Not in numpy's words, which recommend to unpickle what it does not know.
        raise ModelError(f"{path} is damaged or of another type: expected {expected}") from error
