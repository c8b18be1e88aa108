"""Prepared sets on disk: sub-images and their reductions, ready for cropping.

    SET/HR/NAME.ppm         sub-images
    SET/LR_x4/NAME.ppm      their reductions, of the same names
    SET/prepared.jsonl      the options, a line for each source picture, and an end mark

PPM is raw pixels behind a header of 15 bytes: every viewer opens it, and a crop is read without
decoding the rest. (PNG is decoded as a whole: docs/benchmarks has both.)
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dggn.data.manifest import append_record, read_records, write_records
from dggn.model.config import SCALE
from dggn.settings import from_mapping, to_mapping
from runtime.errors import ConfigError, ImageReadError
from runtime.system.files import write_whole

MANIFEST_NAME = "prepared.jsonl"
HR_FOLDER = "HR"
LR_FOLDER = f"LR_x{SCALE}"
FORMAT = "dggn-prepared-1"


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """Settings for cutting pictures into sub-images."""

    size_px: int = 480
    """Side of a sub-image (480 in the paper, Section 4.2)."""

    step_px: int = 240
    """Distance between adjacent sub-images (240 in the paper)."""

    scales: tuple[float, ...] = (1.0,)
    """Scales at which every picture is cut; the paper uses only 1."""

    def __post_init__(self) -> None:
        if not self.scales or not all(0.1 <= scale <= 1 for scale in self.scales):
            raise ConfigError(
                f"the scales are {', '.join(map(str, self.scales)) or 'none'}: expected one or "
                "more from 0.1 to 1; enlarged pictures would teach blur"
            )
        if min(self.size_px, self.step_px) < SCALE or self.size_px % SCALE or self.step_px % SCALE:
            raise ConfigError(
                f"the sub-images' size is {self.size_px} and their step {self.step_px}: "
                f"both must be positive multiples of {SCALE}"
            )
        if self.step_px > self.size_px:
            raise ConfigError(
                f"the sub-images' step is {self.step_px} and their size {self.size_px}: a step "
                "above the size would leave parts of the pictures out"
            )


@dataclass(frozen=True, kw_only=True)
class SubImage:
    """One sub-image of a set."""

    name: str
    """Path below `HR` and `LR_x4`, without the suffix."""

    height: int
    """Height of the HR picture."""

    width: int
    """Width of the HR picture."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The result for one source picture."""

    name: str
    """Path below the source folder."""

    sha256: str
    """Hash of the file; a changed picture is cut again."""

    sub_images: tuple[SubImage, ...] = ()
    """Sub-images cut from it."""

    problem: str | None = None
    """Reason why it was not cut; None if it was."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Contents of a prepared set."""

    options: PrepareOptions
    """Settings of the set."""

    sources: tuple[Source, ...]
    """Source pictures processed so far."""

    complete: bool
    """Whether all source pictures are processed."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace a set's manifest atomically.

    Raises:
        TargetError: it cannot be written.
    """
    header = {"options": to_mapping(manifest.options)}
    sources = map(to_mapping, manifest.sources)
    path = folder / MANIFEST_NAME
    write_records(path, FORMAT, header, sources, complete=manifest.complete)


def append_source(folder: Path, source: Source) -> None:
    """Append a processed source picture to the manifest.

    Raises:
        TargetError: it cannot be written.
    """
    append_record(folder / MANIFEST_NAME, to_mapping(source))


def read_manifest(folder: Path) -> Manifest | None:
    """Read a set's manifest, without a line truncated by a crash; None if there is no set.

    Raises:
        ConfigError: the manifest is damaged or of another version.
    """
    remedy = "prepare the pictures again, into another folder"
    return read_records(folder / MANIFEST_NAME, FORMAT, _manifest, remedy=remedy)


def write_ppm(path: Path, image_hwc: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as binary PPM, atomically.

    Raises:
        TargetError: it cannot be written.
    """
    write_whole(path, _header(*image_hwc.shape[:2]) + image_hwc.tobytes())


def map_ppm(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """Map the pixels of a PPM file of known size, to be read only on access.

    Returns:
        (height, width, 3), uint8 RGB, read-only.

    Raises:
        ImageReadError: the file is missing or has another size.
    """
    header_bytes, pixels_bytes = len(_header(height, width)), height * width * 3
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), header_bytes + pixels_bytes, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ImageReadError(
            f"{path} is missing or damaged ({error}): prepare the pictures again"
        ) from error
    pixels = np.frombuffer(content, np.uint8, pixels_bytes, header_bytes)
    return pixels.reshape(height, width, 3)


def ppm_bytes(height: int, width: int) -> int:
    """Return the length of a PPM file for a picture of this size."""
    return len(_header(height, width)) + height * width * 3


def sub_image_paths(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the files of sub-images, HR and LR."""
    return [folder / kind / f"{name}.ppm" for name in names for kind in (HR_FOLDER, LR_FOLDER)]


def _header(height: int, width: int) -> bytes:
    return f"P6\n{width} {height}\n255\n".encode()


def _manifest(header: dict[str, Any], records: list[dict[str, Any]], complete: bool) -> Manifest:
    return Manifest(
        options=from_mapping(PrepareOptions, header["options"], where="options"),
        sources=tuple(from_mapping(Source, one, where="a source picture") for one in records),
        complete=complete,
    )
