"""Plans which pictures and videos to upscale, and where each result goes.

The plan is made before anything is decoded: what is ignored, the tree of the output
folder, and names that would collide.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from runtime.codecs.formats import READABLE_SUFFIXES, WRITABLE_SUFFIXES, OutputFormat, output_format
from runtime.codecs.output import OutputSettings, target_suffix
from runtime.errors import ConfigError
from runtime.jobs.job import Job, Plan
from runtime.jobs.names import unique_targets
from runtime.jobs.walk import Found, walk
from runtime.system.package import require
from runtime.system.path_text import local_path, path_text
from runtime.video.formats import (
    CLIP_SUFFIXES,
    EXTRA,
    MUXERS,
    can_read_clips,
    clip_suffix,
    is_clip,
    is_writable,
)

PICTURE_SUFFIXES = READABLE_SUFFIXES | {".avif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".tga"}
"""Suffixes that mark OUTPUT as one picture, a mistake when INPUT is a folder."""


def plan_jobs(source: Path, target: Path, settings: OutputSettings, *, suffix: str = "") -> Plan:
    """Find the pictures in INPUT, and give each a target in OUTPUT.

    The order is the same on every machine. A linked file is read, a linked folder is not
    followed.

    Args:
        source: INPUT, a picture or a folder.
        target: OUTPUT, a folder or, for a single picture, a file.
        settings: the format asked for.
        suffix: goes before the extension of every result.

    Raises:
        ConfigError: INPUT does not exist, or OUTPUT would endanger it.
        MissingDependency: INPUT is a video, and PyAV is not installed.
    """
    check_suffix(suffix)
    try:
        plan = _plan(source, target, settings, suffix)
        _refuse_overwriting_sources(plan.jobs)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before 3.13
        at, reason = getattr(error, "filename", None), getattr(error, "strerror", None)
        raise ConfigError(
            f"cannot access {at or f'{source} or {target}'}: {reason or error}"
        ) from error
    return plan


def check_suffix(suffix: str) -> None:
    """Refuse a suffix that would move results elsewhere.

    Raises:
        ConfigError: it does.
    """
    if "/" in suffix or os.sep in suffix or "\0" in suffix:
        raise ConfigError(f"--suffix is {suffix!r}: expected part of a file name, without slashes")


def _plan(source: Path, target: Path, settings: OutputSettings, suffix: str) -> Plan:
    if source.is_dir():
        _refuse_inside(source, target)
        if not target.is_dir() and target.suffix.lower() in PICTURE_SUFFIXES | CLIP_SUFFIXES:
            what = "video" if is_clip(target) else "picture"
            raise ConfigError(
                f"INPUT is the folder {source}, so OUTPUT must be a folder too, but {target} is "
                f"named like a {what}"
            )
        return _plan_folder(source, target, settings, suffix)
    if source.is_file() and is_clip(source):
        return clip_plan(source, target, suffix)
    if source.is_file():
        return file_plan(source, target, settings, suffix)
    found = "is neither a file nor a folder" if os.path.lexists(source) else "does not exist"
    raise ConfigError(f"INPUT {source} {found}: expected a picture, a video or a folder of them")


def clip_plan(source: Path, target: Path, suffix: str) -> Plan:
    """Return the plan for one video.

    Args:
        source: the video, which need not be there yet.
        target: OUTPUT, a folder or a file.
        suffix: goes before the extension.

    Raises:
        ConfigError: OUTPUT is neither a folder nor named like a video.
        MissingDependency: PyAV is not installed.
    """
    require("av", extra=EXTRA)
    if target.is_dir() or not (target.is_file() or target.suffix):
        name = source.stem + suffix + clip_suffix(source)
        job = Job(source=source, target=target / name, name=path_text(source.name))
        return Plan(jobs=(job,), folder=target, is_one_file=True)
    if not is_writable(target):
        raise ConfigError(
            f"INPUT {source} is a video, but OUTPUT {target} is not named like one: "
            f"expected a name that ends in {', '.join(MUXERS)}, or a folder"
        )
    _refuse_suffix(suffix, target)
    job = Job(source=source, target=target, name=path_text(source.name))
    return Plan(jobs=(job,), folder=target.parent, is_one_file=True)


def file_plan(source: Path, target: Path, settings: OutputSettings, suffix: str) -> Plan:
    """Return the plan for one picture.

    Args:
        source: the picture, which need not be there yet.
        target: OUTPUT, a folder or a file.
        settings: with the format asked for.
        suffix: goes before the extension.

    Raises:
        ConfigError: OUTPUT is neither a folder nor named like a picture.
    """
    asked = _writable_format(target)
    if target.is_dir() or (asked is None and not target.is_file() and not target.suffix):
        name = source.stem + suffix + target_suffix(source, settings)
        job = Job(source=source, target=target / name, name=path_text(source.name))
        return Plan(jobs=(job,), folder=target, is_one_file=True)
    if asked is None:
        # Hardly a new folder: `large.jp2` and `large.pgn` mean a picture.
        raise ConfigError(
            f"OUTPUT {target} is not a folder, and names no writable format: expected a "
            f"name that ends in {', '.join(WRITABLE_SUFFIXES)}, or a folder; make it first if "
            "there is a dot in its name"
        )
    if settings.format != "same" and asked is not output_format(Path(f"x.{settings.format}")):
        raise ConfigError(
            f"--format {settings.format} contradicts OUTPUT {target}: leave one of them out"
        )
    _refuse_suffix(suffix, target)
    job = Job(source=source, target=target, name=path_text(source.name))
    return Plan(jobs=(job,), folder=target.parent, is_one_file=True)


def _refuse_suffix(suffix: str, target: Path) -> None:
    if suffix:
        raise ConfigError(
            f"--suffix {suffix} is for an OUTPUT folder, but {target} names the file: "
            "write the name in full"
        )


def _writable_format(target: Path) -> OutputFormat | None:
    try:
        return output_format(target)
    except ConfigError:
        return None


def _plan_folder(source: Path, target: Path, settings: OutputSettings, suffix: str) -> Plan:
    found = walk(source)
    clips = found.clips if can_read_clips() else []
    jobs = [
        Job(
            source=source / local_path(str(name)),
            target=target / local_path(str(place)),
            name=str(name),
            notes=notes,
        )
        for name, place, notes in named([*found.pictures, *clips], settings, suffix)
    ]
    return folder_plan(found, jobs, target, clips=len(found.clips) - len(clips))


def folder_plan(found: Found, jobs: Iterable[Job], folder: Path, *, clips: int = 0) -> Plan:
    """Return the plan for what was found in a folder.

    Args:
        found: with what was ignored.
        jobs: for its pictures.
        folder: where the results go.
        clips: number of videos that were ignored.
    """
    return Plan(
        jobs=tuple(jobs),
        folder=folder,
        hidden=found.hidden,
        other=found.other,
        clips=clips,
        links=found.links,
        system=found.system,
        unreadable=tuple(sorted(found.unreadable)),
    )


def named(
    pictures: Iterable[PurePosixPath], settings: OutputSettings, suffix: str
) -> Iterator[tuple[PurePosixPath, PurePosixPath, tuple[str, ...]]]:
    """Give every result its name.

    Args:
        pictures: paths relative to INPUT.
        settings: with the requested format.
        suffix: goes before the extension.

    Yields:
        The picture, its result relative to OUTPUT, and notes for the user; in the order of names.
    """
    names = sorted(pictures, key=lambda name: name.parts)
    targets = unique_targets(
        (name, name.with_name(name.stem + suffix + _suffix_for(Path(name), settings)))
        for name in names
    )
    for name in names:
        place, renamed = targets[name]
        note = f"written as {place}, because another result has the plain name"
        yield name, place, (note,) if renamed else ()


def _suffix_for(source: Path, settings: OutputSettings) -> str:
    return clip_suffix(source) if is_clip(source) else target_suffix(source, settings)


def _refuse_inside(source: Path, target: Path) -> None:
    # Comparing files, not names, sees through links and upper case.
    resolved = target.resolve()
    for folder in (resolved, *resolved.parents):
        if folder.exists() and folder.samefile(source):
            where = "is INPUT" if folder == resolved else f"lies inside INPUT {source}"
            raise ConfigError(
                f"OUTPUT {target} {where}: the next run would take results for sources. "
                "Choose a folder elsewhere"
            )


def _refuse_overwriting_sources(jobs: Iterable[Job]) -> None:
    jobs = list(jobs)
    sources = {_identity(job.source): job.source for job in jobs}
    for job in jobs:
        identity = _identity(job.target)
        if identity is not None and identity in sources:
            raise ConfigError(
                f"the result of {job.source} would replace the source {sources[identity]}. "
                "Choose another OUTPUT, or use --suffix with a folder"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
