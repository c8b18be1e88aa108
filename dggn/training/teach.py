"""Makes taught sets: realistic or clean LR pictures with a teacher's results."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dggn.data.colours import with_colours_of
from dggn.data.degrade import degrade_bicubic
from dggn.data.folder import picture_paths, read_rgb
from dggn.data.graphics import draw_graphic
from dggn.data.history import apply_history
from dggn.data.prepared import HR_FOLDER, LR_FOLDER, write_ppm
from dggn.data.realistic import GRAPHICS, PHOTOGRAPHS, Realism, draw_history
from dggn.data.taught import (
    TEACHER_FOLDER,
    Lesson,
    TaughtPair,
    TaughtSet,
    TeachOptions,
    append_pair,
    begin_manifest,
    is_pair_complete,
    pair_paths,
    read_taught,
)
from dggn.model.config import SCALE
from runtime.errors import ConfigError, ModelError, TargetError
from runtime.model.info import file_sha256
from runtime.system.path_text import path_text, text_bytes
from runtime.system.terminal import OnProgress

BYTES_PER_LR_PIXEL = 3 * (1 + 2 * SCALE**2)
"""Disk space of a pair: the LR picture, the teacher's result and the original."""

DRAWN = "drawn"
"""Source name of drawn pairs."""

Image8 = NDArray[np.uint8]

Teacher = Callable[[Image8], Image8]
"""Maps an (H, W, 3) uint8 RGB picture to (4H, 4W, 3)."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Pictures that LR pictures are cut from."""

    folder: Path
    """Folder of the pictures."""

    paths: tuple[Path, ...]
    """Paths of all pictures, sorted."""

    weights: NDArray[np.float64]
    """Probability of each picture: its share of the pixels."""

    sha256: str
    """Hash over all names and contents."""


def read_sources(folder: Path) -> Sources:
    """Find the source pictures, reading only headers and hashes.

    Raises:
        ConfigError: there is none, or one cannot be opened.
    """
    paths = picture_paths(folder)
    digest, areas = hashlib.sha256(), []
    for path in paths:
        try:
            with Image.open(path) as image:
                areas.append(float(image.width * image.height))
            name = path_text(path.relative_to(folder).as_posix())
            digest.update(text_bytes(f"{name}\0{file_sha256(path)}\n"))
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error}): remove or replace it") from error
    weights = np.array(areas) / sum(areas)
    return Sources(folder=folder, paths=tuple(paths), weights=weights, sha256=digest.hexdigest())


def teach(
    sources: Sources,
    target: Path,
    options: TeachOptions,
    count: int,
    *,
    teacher: Teacher,
    teacher_sha256: str,
    on_progress: OnProgress,
) -> TaughtSet:
    """Make the first `count` pairs of a set, or resume.

    Args:
        sources: photographs, as sharp and varied as possible.
        target: folder of the set; pairs that are there and whole are kept.
        options: settings for LR pictures.
        count: number of pairs; a set can be enlarged later.
        teacher: network that enlarges them.
        teacher_sha256: hash of its file.
        on_progress: called after every pair.

    Raises:
        ConfigError: the folder holds another set, or a source is too small.
        ImageReadError: a source cannot be decoded.
        ModelError: the teacher does not enlarge four times.
        TargetError: the set cannot be written, or does not fit on the disk.
    """
    lesson = Lesson(options=options, teacher=teacher_sha256, sources=sources.sha256)
    kept = [pair for pair in _begun(target, lesson) if is_pair_complete(target, pair)]
    _require_space(target, options, count - len(kept))
    begin_manifest(target, TaughtSet(lesson=lesson, pairs=tuple(kept), complete=False))
    done = {pair.name: pair for pair in kept}
    for number in range(count):
        name = f"{number:06d}"
        if name not in done:
            done[name] = _make(name, number, sources, target, options, teacher)
            append_pair(target, done[name])
        on_progress(f"{number + 1} of {count} pairs", (number + 1) / count)
    pairs = tuple(done[name] for name in sorted(done))
    finished = TaughtSet(lesson=lesson, pairs=pairs, complete=True)
    begin_manifest(target, finished)
    return finished


def make_lr_picture(
    number: int, sources: Sources, options: TeachOptions
) -> tuple[Image8, Image8 | None, str]:
    """Return LR picture `number` of a set, its original if there is one, and its source.

    Returns:
        (H, W, 3), (4H, 4W, 3) or None, and a path below the source folder or `DRAWN`.
    """
    random = np.random.default_rng((options.seed, number))
    kind = random.random()
    if kind < options.graphics:
        side = options.size_px * SCALE
        original = draw_graphic(side, side, random)
        return _reduced(original, options, GRAPHICS, random), original, DRAWN
    path = sources.paths[int(random.choice(len(sources.paths), p=sources.weights))]
    picture, source = read_rgb(path), path.relative_to(sources.folder).as_posix()
    if kind < options.graphics + options.unreduced:
        cut = _cut(picture, options.size_px, 1.0, 8, random)
        return apply_history(cut, draw_history(random, PHOTOGRAPHS, reduced=False)), None, source
    factor = options.largest_reduction ** random.random()
    original = _cut(picture, options.size_px * SCALE, factor, 8 * SCALE, random)
    return _reduced(original, options, PHOTOGRAPHS, random), original, source


def _reduced(
    original: Image8, options: TeachOptions, realism: Realism, random: np.random.Generator
) -> Image8:
    if options.clean:
        return degrade_bicubic(original)
    return apply_history(original, draw_history(random, realism))


def _cut(
    picture: Image8, side: int, factor: float, multiple: int, random: np.random.Generator
) -> Image8:
    """Cut a square of at most `side` pixels from a picture first reduced by `factor`."""
    smallest = min(picture.shape[:2])
    side = min(side, smallest // multiple * multiple)
    if not side:
        raise ConfigError(
            f"a source is {picture.shape[1]}x{picture.shape[0]}: expected {multiple} px or more"
        )
    window = min(round(side * factor), smallest)
    top = int(random.integers(picture.shape[0] - window + 1))
    left = int(random.integers(picture.shape[1] - window + 1))
    cut = picture[top : top + window, left : left + window]
    if window == side:
        return np.ascontiguousarray(cut)
    return np.asarray(Image.fromarray(cut).resize((side, side), Image.Resampling.LANCZOS))


def _make(
    name: str,
    number: int,
    sources: Sources,
    target: Path,
    options: TeachOptions,
    teacher: Teacher,
) -> TaughtPair:
    lr, original, source = make_lr_picture(number, sources, options)
    taught = teacher(lr)
    height, width = lr.shape[:2]
    if taught.shape != (height * SCALE, width * SCALE, 3):
        raise ModelError(
            f"the teacher makes {taught.shape[1]}x{taught.shape[0]} of {width}x{height}: "
            f"expected a network that enlarges {SCALE} times"
        )
    pair = TaughtPair(
        name=name, height=height, width=width, original=original is not None, source=source
    )
    if not options.clean:
        taught = with_colours_of(lr, taught)
    pictures = {LR_FOLDER: lr, TEACHER_FOLDER: taught, HR_FOLDER: original}
    for kind, path in pair_paths(target, pair).items():
        picture = pictures[kind]
        assert picture is not None
        write_ppm(path, picture)
    return pair


def _begun(target: Path, lesson: Lesson) -> tuple[TaughtPair, ...]:
    try:
        taught = read_taught(target)
        if taught is None and target.exists() and any(target.iterdir()):
            raise ConfigError(f"{target} contains other files: choose a new or empty folder")
    except OSError as error:
        raise TargetError(f"{target} cannot be used: {error.strerror or error}") from error
    if taught is None:
        return ()
    differing = [
        name
        for name, same in (
            ("another teacher", taught.lesson.teacher == lesson.teacher),
            ("other source pictures", taught.lesson.sources == lesson.sources),
            (f"other options ({taught.lesson.options})", taught.lesson.options == lesson.options),
        )
        if not same
    ]
    if differing:
        raise ConfigError(
            f"{target} was started with {' and '.join(differing)}: use those, or another folder"
        )
    return taught.pairs


def _require_space(target: Path, options: TeachOptions, missing: int) -> None:
    needed = missing * options.size_px**2 * BYTES_PER_LR_PIXEL
    existing = next(parent for parent in (target, *target.resolve().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise TargetError(
            f"{target} needs {needed / 1e9:.1f} GB for {missing} pairs, and {free / 1e9:.1f} GB "
            "are free: request fewer pairs, or name a folder on a larger disk"
        )
