"""Checks model files from anywhere before an inference library opens them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from runtime.errors import ModelError

MAX_MODEL_BYTES = 2**31 - 1
"""Maximum size of an ONNX file, set by its format."""

HEAD_BYTES = 512
"""Leading bytes needed to recognize a file."""

_TO_ONNX = (
    "turn it into ONNX with `dggn-export onnx FILE` (extra community for other architectures), "
    "and run that"
)

_KINDS = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the model: fetch that with `git lfs pull`",
    ),
    (b"PK\x03\x04", f"a ZIP file, as PyTorch checkpoints are: {_TO_ONNX}"),
    (b"\x80\x02", f"a PyTorch checkpoint: {_TO_ONNX}"),
    (b"\x80\x04", f"a Python pickle, which is never opened: {_TO_ONNX}"),
    (b"7767517", "an ncnn model, which is not supported: take its ONNX file or its checkpoint"),
    (b"ftrt", "a TensorRT engine: give the ONNX file that it was built from"),
    (b"ptrt", "a TensorRT engine: give the ONNX file that it was built from"),
    (b"<?xml", "an XML file, perhaps of OpenVINO: take the model's ONNX file"),
)
"""Leading bytes of files that are often mistaken for ONNX, and what to say about them."""

# How ONNX names the file that holds a weight: a protobuf string under the key `location`.
_EXTERNAL_KEY = b"\x0a\x08location\x12"


def other_kind(head: bytes) -> str:
    """Describe a file often mistaken for ONNX, and the remedy; empty for other files.

    Args:
        head: its first `HEAD_BYTES`.

    Returns:
        A sentence's end, for example `a Git LFS pointer, ...`; empty where nothing tells.
    """
    for beginning, kind in _KINDS:
        if head.startswith(beginning):
            return kind
    if head.lstrip()[:5].lower() in (b"<html", b"<!doc"):
        return "a web page: take the link that downloads the file itself"
    # safetensors: the length of the header, in eight bytes, then JSON.
    if head[8:9] == b"{" and head[4:8] == bytes(4):
        return f"a checkpoint in safetensors: {_TO_ONNX}"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model, which is not supported: take its ONNX file"
    return ""


def check_model_file(path: Path) -> None:
    """Refuse a file that is not ONNX, is too large, or would make a library read other files.

    Inference libraries differ in which files they let a model read: some follow links and `..`
    out of its folder.

    Raises:
        ModelError: it is not a file that may be loaded.
    """
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        raise ModelError(
            f"{path} has a name that is not in UTF-8, which inference libraries cannot open: "
            "rename it"
        ) from None
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
            if kind := other_kind(content[:HEAD_BYTES]):
                raise ModelError(f"{path} is {kind}")
            if content.find(_EXTERNAL_KEY) >= 0:
                raise ModelError(
                    f"{path} keeps weights in other files, which are not supported: "
                    "save it as one file (`onnx.save_model` without external data)"
                )
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
