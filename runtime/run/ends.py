"""Opens both ends of a run: folders, object stores, or one of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.codecs.formats import READABLE_SUFFIXES
from runtime.codecs.output import OutputSettings
from runtime.errors import ConfigError
from runtime.jobs.ends import Files, Ledger, Source
from runtime.jobs.job import Plan
from runtime.jobs.journal import Journal
from runtime.jobs.plan import plan_jobs
from runtime.jobs.shard import Shard
from runtime.stores.client import ObjectStore
from runtime.stores.plan import plan_with_stores
from runtime.stores.source import Objects
from runtime.stores.staging import Staging
from runtime.stores.target import PutResults
from runtime.stores.url import StoreUrl
from runtime.video.formats import CLIP_SUFFIXES

Place = Path | StoreUrl
"""INPUT or OUTPUT."""


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The work of a run, its sources and its targets."""

    plan: Plan
    source: Source
    target: Place
    shard: Shard | None = None
    staging: Staging | None = None
    """For downloads and uploads, if there are any."""

    def open_ledger(
        self, *, read_only: bool = False, wait: Callable[[float], None] | None = None
    ) -> Ledger:
        """Open the record of existing results.

        Args:
            read_only: write nothing, for a dry run.
            wait: see `Journal`; used for single pictures.

        Raises:
            TargetError: the folder cannot be written, or another run is writing to it.
            StoreError: the store is not there, or must not be read.
        """
        plan, target = self.plan, self.target
        if isinstance(target, StoreUrl):
            return PutResults.seen(ObjectStore(target), target, plan.jobs, plan.others)
        return Journal(
            plan.folder,
            shard=self.shard,
            read_only=read_only,
            wait=wait if plan.is_one_file else None,
        )


@contextmanager
def open_ends(
    source: Place,
    target: Place,
    settings: OutputSettings,
    *,
    suffix: str = "",
    shard: Shard | None = None,
) -> Iterator[Ends]:
    """Plan the work; downloads for it are removed at the end of the block.

    Args:
        source: INPUT.
        target: OUTPUT.
        settings: the format asked for.
        suffix: goes before the extension of every result.
        shard: the part to do; None for everything.

    Raises:
        ConfigError: there is nothing to do, or the arguments are invalid.
        StoreError: a store is not there, or must not be read.
    """
    if isinstance(source, Path) and isinstance(target, Path):
        plan = plan_jobs(source, target, settings, suffix=suffix)
        yield Ends(plan=_part(plan, source, shard), source=Files(), target=target, shard=shard)
        return
    with Staging() as staging:
        store = ObjectStore(source) if isinstance(source, StoreUrl) else None
        plan = plan_with_stores(
            source, target, settings, suffix=suffix, staging=staging, store=store
        )
        yield Ends(
            plan=_part(plan, source, shard),
            source=Objects(store) if store else Files(),
            target=target,
            shard=shard,
            staging=staging,
        )


def _part(plan: Plan, source: Place, shard: Shard | None) -> Plan:
    if not plan.jobs and not plan.unreadable:
        raise ConfigError(
            f"no pictures in {source}; ignored: {plan.ignored or 'nothing'}. "
            f"Expected files ending in {', '.join(sorted(READABLE_SUFFIXES | CLIP_SUFFIXES))}"
        )
    return plan.part(shard) if shard else plan
