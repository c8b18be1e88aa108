"""The plan of a run whose INPUT or OUTPUT is in an object store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from runtime.codecs.formats import READABLE_SUFFIXES, WRITABLE_SUFFIXES
from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError
from runtime.jobs.job import Job, Origin, Plan
from runtime.jobs.plan import check_suffix, clip_plan, file_plan, folder_plan, named, plan_jobs
from runtime.jobs.walk import SYSTEM_FOLDERS, Found
from runtime.stores.client import Found as FoundObject
from runtime.stores.client import ObjectStore
from runtime.stores.staging import Staging
from runtime.stores.url import StoreUrl
from runtime.system.path_text import is_text, local_path, path_text, text_bytes
from runtime.video.formats import CLIP_SUFFIXES, can_read_clips, is_clip


def plan_with_stores(
    source: Path | StoreUrl,
    target: Path | StoreUrl,
    settings: OutputSettings,
    *,
    suffix: str,
    staging: Staging,
    store: ObjectStore | None,
) -> Plan:
    """Find the pictures, and give each a target; at least one end is in a store.

    Args:
        source: INPUT.
        target: OUTPUT.
        settings: the format asked for.
        suffix: goes before the extension of every result.
        staging: for what is on its way.
        store: the bucket of INPUT, if that is in one.

    Raises:
        ConfigError: INPUT does not exist, or OUTPUT would endanger it.
        StoreError: INPUT cannot be listed.
    """
    check_suffix(suffix)
    if isinstance(source, StoreUrl):
        assert store is not None
        if isinstance(target, StoreUrl) and source.holds(target):
            raise ConfigError(
                f"OUTPUT {target} lies inside INPUT {source}: results would be taken for sources "
                "by the next run. Choose another folder"
            )
        folder = target if isinstance(target, Path) else staging.results
        plan = _plan_objects(source, folder, target, settings, suffix, staging, store)
    else:
        # Names are planned as for a folder, in place of which the staging folder is used.
        place = staging.results
        if isinstance(target, StoreUrl) and _names_a_file(target) and source.is_file():
            place = staging.results / local_path(str(target.name))
        plan = plan_jobs(source, place, settings, suffix=suffix)
    if isinstance(target, StoreUrl):
        if not plan.is_one_file and _names_a_file(target):
            raise ConfigError(
                f"INPUT is the folder {source}, so OUTPUT must be a folder too, but {target} is "
                "named like a picture: end it in a slash"
            )
        plan = _put_to(plan, target, staging.results)
    return plan


def _plan_objects(
    source: StoreUrl,
    folder: Path,
    target: Path | StoreUrl,
    settings: OutputSettings,
    suffix: str,
    staging: Staging,
    store: ObjectStore,
) -> Plan:
    one = None if source.is_folder else store.find(source)
    if one:
        if isinstance(target, StoreUrl) and _names_a_file(target):
            folder = folder / local_path(str(target.name))
        picture = Path(local_path(str(source.name)))
        plan = (
            clip_plan(picture, folder, suffix)
            if is_clip(picture)
            else file_plan(picture, folder, settings, suffix)
        )
        (job,) = plan.jobs
        return replace(plan, jobs=(_fetched(job, source, one, staging),))
    below = {key[len(source.key) :].lstrip("/"): found for key, found in store.list(source).items()}
    if not below:
        raise ConfigError(
            f"INPUT {source} does not exist: no object has this name or lies below it"
        )
    found = sorted_out(below)
    clips = found.clips if can_read_clips() else []
    jobs = [
        _fetched(
            Job(
                source=Path(name),
                target=folder / local_path(str(place)),
                name=str(name),
                notes=notes,
            ),
            source.child(str(name)),
            below[str(name)],
            staging,
        )
        for name, place, notes in named([*found.pictures, *clips], settings, suffix)
    ]
    return folder_plan(found, jobs, folder, clips=len(found.clips) - len(clips))


def sorted_out(objects: Mapping[str, FoundObject]) -> Found:
    """Separate pictures and videos from other objects, as `jobs.walk` does for files.

    Args:
        objects: by their names below INPUT.
    """
    found = Found()
    for name in objects:
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or str(path) != name or ".." in path.parts:
            found.unreadable.append((name, "its name is not a path: rename the object"))
        elif any(part.startswith(".") for part in path.parts):
            found.hidden += 1
        elif any(part.lower() in SYSTEM_FOLDERS for part in path.parts[:-1]):
            found.system += 1
        elif path.suffix.lower() in READABLE_SUFFIXES:
            found.pictures.append(path)
        elif path.suffix.lower() in CLIP_SUFFIXES:
            found.clips.append(path)
        else:
            found.other += 1
    return found


def _fetched(job: Job, url: StoreUrl, found: FoundObject, staging: Staging) -> Job:
    return replace(
        job,
        source=staging.sources / _staged_name(job.name),
        origin=Origin(url=str(url), etag=found.etag, size_bytes=found.size_bytes),
    )


def _put_to(plan: Plan, target: StoreUrl, results: Path) -> Plan:
    """Give the jobs their URLs, and short names of their own in the staging folder."""
    jobs, unreadable = [], list(plan.unreadable)
    for job in plan.jobs:
        is_named = plan.is_one_file and _names_a_file(target)
        name = path_text(job.target.relative_to(results).as_posix())
        url = target if is_named else target.child(name)
        if not is_text(url.key):
            unreadable.append(
                (job.name, "its name is not in UTF-8, as an object's must be: rename it")
            )
            continue
        jobs.append(replace(job, target=results / _staged_name(name), target_url=str(url)))
    return replace(plan, jobs=tuple(jobs), folder=results, unreadable=tuple(unreadable))


def _staged_name(name: str) -> str:
    # Keys may be longer than file names, and contain characters that a disk does not allow.
    return hashlib.sha256(text_bytes(name)).hexdigest()[:24] + PurePosixPath(name).suffix


def _names_a_file(url: StoreUrl) -> bool:
    suffixes = {*WRITABLE_SUFFIXES, *CLIP_SUFFIXES}
    return not url.is_folder and url.name.suffix.lower() in suffixes
