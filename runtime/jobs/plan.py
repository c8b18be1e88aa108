"""Which pictures are to be upscaled, and where each result goes.

The plan is made before anything is decoded: what is ignored, the tree of the output
folder, and names that would collide.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from runtime.codecs.formats import READABLE_SUFFIXES, WRITABLE_SUFFIXES, OutputFormat, output_format
from runtime.codecs.output import OutputSettings, target_suffix
from runtime.errors import ConfigError
from runtime.jobs.names import unique_targets
from runtime.jobs.shard import Shard
from runtime.jobs.stamp import place_of
from runtime.jobs.walk import Found, walk

PICTURE_SUFFIXES = READABLE_SUFFIXES | {".avif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".tga"}
"""Who names the OUTPUT for a folder like this mistakes it for one picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The object that a source is fetched from."""

    url: str
    etag: str
    """Of the version that was listed."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One picture to upscale."""

    source: Path
    """Where it is read, and for an object, where it is fetched to."""
    target: Path
    """Where it is written, and for an object, before it is put."""
    name: str
    """The source relative to INPUT, with forward slashes: what people and reports call it."""
    notes: tuple[str, ...] = ()
    """What a person should know, for example that the target's name had to be changed."""
    origin: Origin | None = None
    """Where the source is an object."""
    target_url: str = ""
    """Where the result becomes an object."""

    @property
    def place(self) -> str:
        """Where the source lies, the same however it is named."""
        return self.origin.url if self.origin else place_of(self.source)

    @property
    def shown_target(self) -> str:
        """The result's place, for people and reports."""
        return self.target_url or str(self.target)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one run is to do."""

    jobs: tuple[Job, ...]
    folder: Path
    """Where the results and the journal go."""
    is_one_file: bool = False
    """Whether INPUT is a picture; several commands may be writing into one folder then."""
    hidden: int = 0
    """How many hidden files and folders were ignored."""
    other: int = 0
    """How many files were ignored because their suffix is not a picture's."""
    links: int = 0
    """How many linked folders were not followed: they may lead round in a circle."""
    system: int = 0
    """How many folders of storage devices and systems were left out (`walk.SYSTEM_FOLDERS`)."""
    unreadable: tuple[tuple[str, str], ...] = ()
    """Folders that could not be listed, and why."""
    others: tuple[Job, ...] = ()
    """What other shards of the same run do."""

    def part(self, shard: Shard) -> Plan:
        """What is left of it for one shard.

        Names were given over the whole tree, so that shards never want the same one.

        Raises:
            ConfigError: there is only one picture.
        """
        if self.is_one_file:
            raise ConfigError(
                f"--shard {shard} divides a folder, and INPUT is one picture: leave it out"
            )
        return replace(
            self,
            jobs=tuple(job for job in self.jobs if shard.holds(job.name)),
            others=tuple(job for job in self.jobs if not shard.holds(job.name)),
        )

    @property
    def ignored(self) -> str:
        """What was ignored, for people; empty if nothing was."""
        counts = (
            (self.hidden, "hidden"),
            (self.other, "not a picture"),
            (self.links, "linked folder" if self.links == 1 else "linked folders"),
            (self.system, "of a storage device or the system"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count)


def plan_jobs(source: Path, target: Path, settings: OutputSettings, *, suffix: str = "") -> Plan:
    """Find the pictures in INPUT and give each a place in OUTPUT.

    The order is the same on every machine. A linked file is read, a linked folder is not
    followed.

    Args:
        source: INPUT, a picture or a folder.
        target: OUTPUT, a folder or, for a single picture, a file.
        settings: the format asked for.
        suffix: goes before the extension of every result.

    Raises:
        ConfigError: INPUT does not exist, or OUTPUT would endanger it.
    """
    check_suffix(suffix)
    try:
        plan = _plan(source, target, settings, suffix)
        _refuse_overwriting_sources(plan.jobs)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before 3.13
        raise ConfigError(f"cannot look at {source} and {target}: {error}") from error
    return plan


def check_suffix(suffix: str) -> None:
    """Refuse a suffix that would move results elsewhere.

    Raises:
        ConfigError: it does.
    """
    if "/" in suffix or os.sep in suffix or "\0" in suffix:
        raise ConfigError(f"--suffix is {suffix!r}: expected a part of a name, without slashes")


def _plan(source: Path, target: Path, settings: OutputSettings, suffix: str) -> Plan:
    if source.is_dir():
        _refuse_inside(source, target)
        if not target.is_dir() and target.suffix.lower() in PICTURE_SUFFIXES:
            raise ConfigError(
                f"INPUT is the folder {source}, so OUTPUT must be a folder too, but {target} is "
                "named like a picture"
            )
        return _plan_folder(source, target, settings, suffix)
    if source.is_file():
        return file_plan(source, target, settings, suffix)
    found = "is neither a file nor a folder" if os.path.lexists(source) else "does not exist"
    raise ConfigError(f"INPUT {source} {found}: expected a picture or a folder of pictures")


def file_plan(source: Path, target: Path, settings: OutputSettings, suffix: str) -> Plan:
    """The plan for one picture.

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
        job = Job(source=source, target=target / name, name=source.name)
        return Plan(jobs=(job,), folder=target, is_one_file=True)
    if asked is None:
        # Hardly a folder that is to be made: `large.jp2` and `large.pgn` mean a picture.
        raise ConfigError(
            f"OUTPUT {target} is no folder, and names no format that can be written: expected a "
            f"name that ends in {', '.join(WRITABLE_SUFFIXES)}, or a folder; make it first if "
            "there is a dot in its name"
        )
    if settings.format != "same" and asked is not output_format(Path(f"x.{settings.format}")):
        raise ConfigError(
            f"--format {settings.format} contradicts OUTPUT {target}: leave one of them out"
        )
    if suffix:
        raise ConfigError(
            f"--suffix {suffix} is for an OUTPUT folder, but {target} names the file: "
            "write the name in full"
        )
    job = Job(source=source, target=target, name=source.name)
    return Plan(jobs=(job,), folder=target.parent, is_one_file=True)


def _writable_format(target: Path) -> OutputFormat | None:
    try:
        return output_format(target)
    except ConfigError:
        return None


def _plan_folder(source: Path, target: Path, settings: OutputSettings, suffix: str) -> Plan:
    found = walk(source)
    jobs = [
        Job(source=source / name, target=target / place, name=str(name), notes=notes)
        for name, place, notes in named(found.pictures, settings, suffix)
    ]
    return folder_plan(found, jobs, target)


def folder_plan(found: Found, jobs: Iterable[Job], folder: Path) -> Plan:
    """The plan for what was found in a folder.

    Args:
        found: with what was ignored.
        jobs: for its pictures.
        folder: where the results go.
    """
    return Plan(
        jobs=tuple(jobs),
        folder=folder,
        hidden=found.hidden,
        other=found.other,
        links=found.links,
        system=found.system,
        unreadable=tuple(sorted(found.unreadable)),
    )


def named(
    pictures: Iterable[PurePosixPath], settings: OutputSettings, suffix: str
) -> Iterator[tuple[PurePosixPath, PurePosixPath, tuple[str, ...]]]:
    """Give every result its name.

    Args:
        pictures: relative to INPUT.
        settings: with the format asked for.
        suffix: goes before the extension.

    Yields:
        The picture, its result relative to OUTPUT, and notes for people; in the order of names.
    """
    names = sorted(pictures, key=lambda name: name.parts)
    targets = unique_targets(
        (name, name.with_name(name.stem + suffix + target_suffix(Path(name), settings)))
        for name in names
    )
    for name in names:
        place, renamed = targets[name]
        note = f"written as {place}, because another result has the plain name"
        yield name, place, (note,) if renamed else ()


def _refuse_inside(source: Path, target: Path) -> None:
    # Comparing files, not names, sees through links and upper case.
    resolved = target.resolve()
    for folder in (resolved, *resolved.parents):
        if folder.exists() and folder.samefile(source):
            where = "is INPUT" if folder == resolved else f"lies inside INPUT {source}"
            raise ConfigError(
                f"OUTPUT {target} {where}: results would be taken for sources by the next run. "
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
