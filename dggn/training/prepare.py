"""Cuts pictures into sub-images with their reductions, once, before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from dggn.data.bicubic import bicubic_resize
from dggn.data.folder import by_stem, picture_paths, read_rgb
from dggn.data.prepared import (
    HR_FOLDER,
    LR_FOLDER,
    Manifest,
    PrepareOptions,
    Source,
    SubImage,
    append_source,
    read_manifest,
    sub_image_paths,
    write_manifest,
    write_ppm,
)
from dggn.model.config import SCALE
from runtime.errors import ConfigError, ImageReadError, TargetError
from runtime.model.info import file_sha256
from runtime.system.cores import usable_cores
from runtime.system.files import remove_temporaries
from runtime.system.terminal import show_progress

MOST_THREADS = 8
"""Maximum number of threads: each needs some hundred megabytes for a large picture."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Progress of a preparation."""

    done: int
    """Number of source pictures processed."""

    total: int
    """Total number of source pictures."""

    source: Source
    """Most recently processed picture."""


OnSource = Callable[[Prepared], None]


def window_starts(length_px: int, options: PrepareOptions) -> list[int]:
    """Return the starts of sub-images along an axis: one per step, the last flush with the border.

    An axis that is shorter than a sub-image is kept whole.

    Args:
        length_px: length of the axis, a multiple of the scale.
        options: size and step.
    """
    last = length_px - options.size_px
    if last <= 0:
        return [0]
    starts = list(range(0, last + 1, options.step_px))
    return starts if starts[-1] == last else [*starts, last]


def prepare(
    source: Path, target: Path, options: PrepareOptions, *, on_source: OnSource
) -> Manifest:
    """Cut every picture below `source` into sub-images, or resume.

    Pictures are cropped at the right and bottom to a multiple of the scale and reduced as a
    whole, so that a sub-image's reduction knows what lies beyond its border, as in the LR
    files that DIV2K publishes. The result depends on the pictures and options alone.

    Args:
        source: folder of HR pictures.
        target: folder of the set; what is there and still current is kept.
        options: sizes and steps.
        on_source: receives every source picture, including those already done.

    Returns:
        The set; sources that could not be read carry their problem.

    Raises:
        ConfigError: a folder is unsuitable, or the set was started with other options.
        TargetError: the set cannot be written.
    """
    if target.resolve().is_relative_to(source.resolve()):
        raise ConfigError(f"{target} lies inside {source}: choose a folder outside of it")
    paths = picture_paths(source)
    by_stem(source, paths)  # Two pictures of one stem would overwrite each other's sub-images.
    manifest = _begin(target, options)
    known = {entry.name: entry for entry in manifest.sources}
    current = {path.relative_to(source).as_posix(): path for path in paths}
    for name, entry in known.items():
        if name not in current:
            _remove(target, entry)
    kept = tuple(entry for name, entry in known.items() if name in current)
    write_manifest(target, Manifest(options=options, sources=kept, complete=False))

    def deal_with(name: str) -> Source:
        path = current[name]
        return _current(path, target, known.get(name)) or _cut(name, path, target, options)

    done = {}
    pool = ThreadPoolExecutor(min(MOST_THREADS, usable_cores()), thread_name_prefix="prepare")
    try:
        for one in pool.map(deal_with, current):
            done[one.name] = one
            if one != known.get(one.name):
                append_source(target, one)
            on_source(Prepared(done=len(done), total=len(current), source=one))
    finally:
        pool.shutdown(cancel_futures=True)
    finished = Manifest(options=options, sources=tuple(done.values()), complete=True)
    write_manifest(target, finished)
    return finished


def _begin(target: Path, options: PrepareOptions) -> Manifest:
    try:
        remove_temporaries([target, *(path for path in target.rglob("*") if path.is_dir())])
        manifest = read_manifest(target)
        if manifest is None and target.exists() and any(target.iterdir()):
            raise ConfigError(f"{target} contains other files: choose a new or empty folder")
    except OSError as error:
        raise TargetError(f"{target} cannot be used: {error.strerror or error}") from error
    if manifest is None:
        return Manifest(options=options, sources=(), complete=False)
    if manifest.options != options:
        was = manifest.options
        raise ConfigError(
            f"{target} was started with {_told(was)}, not {_told(options)}: "
            "use those, or another folder"
        )
    # A source that was cut again has two lines: the newer one holds.
    newest = {entry.name: entry for entry in manifest.sources}
    return replace(manifest, sources=tuple(newest.values()))


def _told(options: PrepareOptions) -> str:
    scales = ", ".join(map(str, options.scales))
    return f"size {options.size_px}, step {options.step_px} and scales {scales}"


def _current(path: Path, target: Path, known: Source | None) -> Source | None:
    """Return the known source if nothing about it has changed, otherwise None."""
    if known is None or known.problem is not None:
        return None
    try:
        if file_sha256(path) != known.sha256:
            _remove(target, known)
            return None
    except OSError:
        return None
    files = sub_image_paths(target, (sub_image.name for sub_image in known.sub_images))
    return known if all(file.is_file() for file in files) else None


def _cut(name: str, path: Path, target: Path, options: PrepareOptions) -> Source:
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        return Source(name=name, sha256="", problem=f"it cannot be read: {error.strerror}")
    try:
        hr = read_rgb(path)
    except ImageReadError as error:
        return Source(name=name, sha256=sha256, problem=str(error))
    stem = name.rpartition(".")[0]
    sub_images: list[SubImage] = []
    for window, reduced in _windows(hr, options):
        sub_name = f"{stem}_s{len(sub_images) + 1:03d}"
        write_ppm(target / HR_FOLDER / f"{sub_name}.ppm", window)
        write_ppm(target / LR_FOLDER / f"{sub_name}.ppm", reduced)
        sub_images.append(SubImage(name=sub_name, height=window.shape[0], width=window.shape[1]))
    if not sub_images:
        problem = f"it is {hr.shape[1]}x{hr.shape[0]}: too small to reduce"
        return Source(name=name, sha256=sha256, problem=problem)
    return Source(name=name, sha256=sha256, sub_images=tuple(sub_images))


def _windows(
    picture_hwc: NDArray[np.uint8], options: PrepareOptions
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield sub-images of a picture at all scales, each with its reduction."""
    for scale in options.scales:
        hr = picture_hwc
        if scale != 1:
            hr = bicubic_resize(hr, Fraction(scale).limit_denominator(1000))
        height, width = (size // SCALE * SCALE for size in hr.shape[:2])
        if not height or not width:
            continue  # The next smaller scale of a tiny picture.
        hr = hr[:height, :width]
        lr = bicubic_resize(hr, Fraction(1, SCALE))
        for top in window_starts(height, options):
            for left in window_starts(width, options):
                window = hr[top : top + options.size_px, left : left + options.size_px]
                below, beyond = top + window.shape[0], left + window.shape[1]
                yield window, lr[top // SCALE : below // SCALE, left // SCALE : beyond // SCALE]


def _remove(target: Path, source: Source) -> None:
    for path in sub_image_paths(target, (sub_image.name for sub_image in source.sub_images)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise TargetError(f"{path} cannot be removed: {error.strerror}") from error


@contextmanager
def show_sources(stream: TextIO) -> Iterator[OnSource]:
    """Show the progress of :func:`prepare`."""
    with show_progress(stream) as (_, on_progress):

        def advance(prepared: Prepared) -> None:
            text = f"{prepared.done} of {prepared.total} pictures  {prepared.source.name}"
            on_progress(text, prepared.done / prepared.total)

        yield advance
