"""Jobs: the pictures and videos of a run, and where each is read and written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from runtime.errors import ConfigError
from runtime.jobs.shard import Shard
from runtime.jobs.stamp import canonical_path
from runtime.system.path_text import path_text
from runtime.video.formats import EXTRA


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The object that a source is fetched from."""

    url: str
    etag: str
    """ETag of the listed version."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One picture or video to upscale."""

    source: Path
    """Where it is read, and for an object, where it is fetched to."""
    target: Path
    """Where it is written, and for an object, before it is put."""
    name: str
    """Path of the source relative to INPUT, for messages and reports: with forward slashes, and the
    same text on every machine (`path_text`).
    """
    notes: tuple[str, ...] = ()
    """Notes for the user, for example that the target's name had to change."""
    origin: Origin | None = None
    """Object that the source is fetched from; None for a file."""
    target_url: str = ""
    """URL of the result; empty for a file."""

    @property
    def place(self) -> str:
        """Canonical path or URL of the source."""
        return self.origin.url if self.origin else canonical_path(self.source)

    @property
    def shown_target(self) -> str:
        """Path or URL of the result, for messages and reports."""
        return self.target_url or path_text(self.target)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The work of one run."""

    jobs: tuple[Job, ...]
    folder: Path
    """Folder of the results and the journal."""
    is_one_file: bool = False
    """Whether INPUT is one file; several commands may then write to one folder."""
    hidden: int = 0
    """Number of hidden files and folders ignored."""
    other: int = 0
    """Number of files ignored because of their suffix."""
    clips: int = 0
    """Number of videos ignored because PyAV is not installed."""
    links: int = 0
    """Number of linked folders not followed, since links may form a cycle."""
    system: int = 0
    """Number of system folders skipped (`walk.SYSTEM_FOLDERS`)."""
    unreadable: tuple[tuple[str, str], ...] = ()
    """Folders that could not be listed, and the reasons."""
    others: tuple[Job, ...] = ()
    """Jobs of the other shards of the same run."""

    def part(self, shard: Shard) -> Plan:
        """Return the part of the plan for one shard.

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
        """Human-readable summary of what was ignored; empty if nothing was."""
        counts = (
            (self.hidden, "hidden"),
            (self.other, "not a picture"),
            (self.clips, f"video, for which pip install 'dggn[{EXTRA}]'"),
            (self.links, "linked folder" if self.links == 1 else "linked folders"),
            (self.system, "of a storage device or the system"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count)
