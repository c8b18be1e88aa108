"""Taught sets on disk: LR pictures, a teacher's results, and the originals.

    SET/LR_x4/NAME.ppm      what the network sees
    SET/teacher/NAME.ppm    what the teacher made of it
    SET/HR/NAME.ppm         the original, of pairs that have one
    SET/taught.jsonl        how the set is made, and a line for each pair

A teacher's result is a function of its input, so a student that learns its edges with L1 stays
sharp, where L1 against the original photograph must blur what cannot be known. Its texture is not
learnt like that: it depends on pixels far away (docs/models/dggn-lite-photo.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dggn.data.manifest import append_record, read_records, write_records
from dggn.data.prepared import HR_FOLDER, LR_FOLDER, ppm_bytes
from dggn.model.config import SCALE
from dggn.settings import from_mapping, to_mapping
from runtime.errors import ConfigError

MANIFEST_NAME = "taught.jsonl"
TEACHER_FOLDER = "teacher"
FORMAT = "dggn-taught-2"
"""Results have the local colours of realistic LR pictures since the second."""


TARGETS = ("original", "teacher")


def check_target(target: str, originals: float) -> None:
    """Refuse an invalid choice of targets.

    Raises:
        ConfigError: the target is unknown, or the share of originals is none or has no use.
    """
    if target not in TARGETS:
        raise ConfigError(f"target is {target!r}: choose {' or '.join(TARGETS)}")
    if not 0 <= originals < 1:
        raise ConfigError(f"originals is {originals}: expected a share from 0 to below 1")
    if originals and target != "teacher":
        raise ConfigError(
            f"originals is {originals} and target {target!r}: a share of originals goes with "
            "target 'teacher'"
        )


@dataclass(frozen=True, kw_only=True)
class TeachOptions:
    """Settings for the LR pictures of a set; pair number k depends only on these and on k."""

    size_px: int = 128
    """Side of an LR picture; smaller if the source is."""

    seed: int = 0
    """Seed of all random choices."""

    unreduced: float = 0.2
    """Fraction of LR pictures cut from the source at its own size, as straight from a camera. They
    have no original.
    """

    graphics: float = 0.1
    """Fraction of LR pictures that are drawn: text, windows, line art, flat shapes, charts."""

    clean: bool = False
    """Whether LR pictures are only reduced, by antialiased bicubic as in the benchmarks, for a
    teacher of fidelity. Its results keep their own colours, which are nearer to the originals'.
    """

    largest_reduction: float = 2.5
    """Maximum of the random factor by which sources are first reduced."""

    def __post_init__(self) -> None:
        if self.size_px < 16 or self.size_px % 8:
            raise ConfigError(f"size is {self.size_px}: expected a multiple of 8, at least 16 px")
        shares = (self.unreduced, self.graphics, 1 - self.unreduced - self.graphics)
        if min(shares) < 0:
            raise ConfigError(
                f"the shares are {self.unreduced} unreduced and {self.graphics} graphics: "
                "expected at least 0 each and at most 1 together"
            )
        if self.clean and self.unreduced:
            raise ConfigError(
                f"clean is true and unreduced {self.unreduced}: clean LR pictures are all "
                "reduced, so unreduced must be 0"
            )
        if not 1 <= self.largest_reduction <= 8:
            raise ConfigError(f"largest_reduction is {self.largest_reduction}: expected 1 to 8")


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Everything that determines the pairs of a set."""

    options: TeachOptions
    """Settings for the LR pictures."""

    teacher: str
    """SHA-256 of the teacher's file."""

    sources: str
    """SHA-256 over the names and contents of the source pictures."""


@dataclass(frozen=True, kw_only=True)
class TaughtPair:
    """One pair of a set."""

    name: str
    """Name of its files, without the suffix."""

    height: int
    """Height of the LR picture, in pixels."""

    width: int
    """Width of the LR picture, in pixels."""

    original: bool
    """Whether the pair has an original besides the teacher's result."""

    source: str
    """Source picture, relative to the source folder; `drawn` for graphics."""


@dataclass(frozen=True, kw_only=True)
class TaughtSet:
    """Contents of a set's manifest."""

    lesson: Lesson
    """Origin of its pairs."""

    pairs: tuple[TaughtPair, ...]
    """Pairs present."""

    complete: bool
    """Whether the set is complete."""


def begin_manifest(folder: Path, taught: TaughtSet) -> None:
    """Replace a set's manifest.

    Raises:
        TargetError: it cannot be written.
    """
    header, pairs = to_mapping(taught.lesson), map(to_mapping, taught.pairs)
    write_records(folder / MANIFEST_NAME, FORMAT, header, pairs, complete=taught.complete)


def append_pair(folder: Path, pair: TaughtPair) -> None:
    """Append a pair to the manifest, after its files were written.

    Raises:
        TargetError: it cannot be written.
    """
    append_record(folder / MANIFEST_NAME, to_mapping(pair))


def read_taught(folder: Path) -> TaughtSet | None:
    """Read a set's manifest, without a line truncated by a crash; None if there is none.

    Raises:
        ConfigError: the manifest is damaged or of another version.
    """
    remedy = "make the set again, in another folder"
    return read_records(folder / MANIFEST_NAME, FORMAT, _taught, remedy=remedy)


def pair_paths(folder: Path, pair: TaughtPair) -> dict[str, Path]:
    """Return a pair's files by folder name."""
    kinds = (LR_FOLDER, TEACHER_FOLDER, *((HR_FOLDER,) if pair.original else ()))
    return {kind: folder / kind / f"{pair.name}.ppm" for kind in kinds}


def is_pair_complete(folder: Path, pair: TaughtPair) -> bool:
    """Return whether all files of a pair exist with the right length."""
    for kind, path in pair_paths(folder, pair).items():
        scale = 1 if kind == LR_FOLDER else SCALE
        expected = ppm_bytes(pair.height * scale, pair.width * scale)
        if not path.is_file() or path.stat().st_size != expected:
            return False
    return True


def _taught(header: dict[str, Any], records: list[dict[str, Any]], complete: bool) -> TaughtSet:
    return TaughtSet(
        lesson=from_mapping(Lesson, header, where="its first line"),
        pairs=tuple(from_mapping(TaughtPair, one, where="a pair") for one in records),
        complete=complete,
    )
