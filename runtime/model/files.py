"""Model files come from anywhere: what is refused before an inference library sees them."""

from __future__ import annotations

import mmap
from pathlib import Path

from runtime.errors import ModelError

MAX_MODEL_BYTES = 2**31 - 1
"""No ONNX file is larger: its format cannot be."""

# How ONNX names the file that holds a weight: a protobuf string under the key `location`.
_EXTERNAL_KEY = b"\x0a\x08location\x12"


def check_model_file(path: Path) -> None:
    """Refuse an ONNX file that is too large, or that would make a library read other files.

    Inference libraries differ in which files they let a model read: some follow links and `..`
    out of its folder.

    Raises:
        ModelError: it is not a file that may be loaded.
    """
    try:
        size = path.stat().st_size
        if not 0 < size <= MAX_MODEL_BYTES:
            raise ModelError(
                f"{path} has {size:,} bytes: expected an ONNX file of 1 to {MAX_MODEL_BYTES:,}"
            )
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if content.find(_EXTERNAL_KEY) >= 0:
                raise ModelError(
                    f"{path} keeps weights in other files, which are not read: "
                    "save it as one file (`onnx.save_model` without external data)"
                )
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
