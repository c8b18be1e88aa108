"""Checks that OpenVINO reproduces the model's pictures, once per model, precision and machine.

As TensorRT's engines are, compiled models are held against the model on ONNX Runtime's CPU. What
is less than float32 must moreover leave no seams: rounding depends on what lies around a pixel, and
tiles could differ from the whole picture where float32's do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.backends.openvino.library import OpenVinoDevice
from runtime.backends.openvino.model import Computed
from runtime.backends.trt.verify import (
    PHOTOGRAPH,
    Bounds,
    exceeded_bound,
    verification_tiles,
    verify,
)
from runtime.errors import TargetError
from runtime.image.picture import Samples
from runtime.model.info import ModelInfo
from runtime.system.files import write_whole
from runtime.tiles.backend import Backend
from runtime.tiles.stitch import upscale_in_tiles

BOUNDS: dict[Computed, Bounds] = {
    "float32": Bounds(psnr_db=60.0, largest_difference=4.0),
    "bfloat16": Bounds(psnr_db=50.0, largest_difference=16.0),
    "float16": Bounds(psnr_db=50.0, largest_difference=16.0),
    "int8": Bounds(psnr_db=40.0, largest_difference=48.0),
}
"""The bounds of TensorRT engines; INT8 is compared with the INT8 model on ONNX Runtime."""

SEAM_LEVELS = 1
"""Maximum tiled/untiled difference, in 8-bit levels."""

_KEPT_PX = 32
"""Least kept size of the tiles used to look for seams."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The key of a verdict: any difference in it needs a new verdict."""

    onnx_sha256: str
    """Hash of the model file."""

    openvino: str
    """OpenVINO's version."""

    device: OpenVinoDevice
    """Device that runs the model."""

    computed: Computed
    """Precision of the computation."""

    samples: str
    """Sample type of tiles and results: `uint8` or `uint16`."""


def trust_problem(
    subject: Subject,
    info: ModelInfo,
    candidate: Backend,
    open_reference: Callable[[], Backend],
    *,
    folder: Path,
    say: Callable[[str], None],
) -> str:
    """Explain why a compiled model cannot be trusted; empty if it can.

    Args:
        subject: key of the cached verdict.
        info: facts of the model.
        candidate: backend of the compiled model.
        open_reference: opens the same model on ONNX Runtime's CPU; called only if there is no
            verdict yet.
        folder: folder of the verdicts.
        say: receives a message if the verdict cannot be stored.

    Raises:
        BackendError: one of them fails.
        MissingDependency: ONNX Runtime, the reference, is not installed.
    """
    key = hashlib.sha256(json.dumps(asdict(subject), sort_keys=True).encode()).hexdigest()
    path = folder / f"{key[:32]}.json"
    known = _read(path)
    if known is not None:
        return known
    with open_reference() as reference:
        problem = _judge(subject, info, candidate, reference)
    content = json.dumps({"problem": problem, "of": asdict(subject)}, indent=1)
    try:
        write_whole(path, content.encode())
    except TargetError as error:
        say(f"the next run will verify {subject.computed} again: {error}")
    return problem


def _read(path: Path) -> str | None:
    """Read a cached verdict; None if it is missing or unreadable."""
    try:
        found = json.loads(path.read_bytes())["problem"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def _judge(subject: Subject, info: ModelInfo, candidate: Backend, reference: Backend) -> str:
    eight_bits = subject.samples == "uint8"
    as_fed = replace(info, sample_type="uint8") if eight_bits else info
    tiles = verification_tiles(as_fed, _seam_tile_px(info))
    bounds = BOUNDS[subject.computed]
    problem = exceeded_bound(bounds, verify(candidate, reference, tiles), subject.computed)
    if problem or subject.computed == "float32":
        return problem or ""
    picture = _picture(info, eight_bits=eight_bits)
    found = seam_levels(candidate, picture)
    # A model that has seams of its own, for want of overlap, is not to blame for them.
    if found <= SEAM_LEVELS or found <= seam_levels(reference, picture):
        return ""
    return (
        f"tiles differ from the whole picture by up to {found:.0f} 8-bit levels in "
        f"{subject.computed}; the limit is {SEAM_LEVELS}"
    )


def seam_levels(backend: Backend, picture: Samples) -> float:
    """Measure the maximum tiled/untiled difference of a picture, in 8-bit levels."""
    info = backend.info
    results = [
        upscale_in_tiles(picture, backend, tile_size=tile_px, overlap=info.halo_px)
        for tile_px in (_seam_tile_px(info), max(picture.shape))
    ]
    tiled, whole = (result.astype(np.float64) for result in results)
    return float(np.abs(tiled - whole).max() * 255 / np.iinfo(picture.dtype).max)


def _seam_tile_px(info: ModelInfo) -> int:
    """Return a small tile size, little more than the overlaps need."""
    multiple = info.size_multiple_px
    return 2 * info.halo_px + -(-_KEPT_PX // multiple) * multiple


def _picture(info: ModelInfo, *, eight_bits: bool) -> Samples:
    """Return the photograph, mirrored out to the size of two adjacent tiles."""
    with Image.open(PHOTOGRAPH) as opened:
        whole = np.asarray(opened.convert("RGB"))
    tile_px, multiple = _seam_tile_px(info), info.size_multiple_px
    height = max(whole.shape[0] // multiple * multiple, multiple)
    width = max(2 * tile_px - 2 * info.halo_px, multiple)
    missing = (max(0, height - whole.shape[0]), max(0, width - whole.shape[1]), 0)
    padded = np.pad(whole, [(0, pixels) for pixels in missing], mode="symmetric")
    picture = padded[:height, :width]
    return picture if eight_bits else picture.astype(np.uint16) * np.uint16(257)
