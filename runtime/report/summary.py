"""The machine-readable summary of `dggn-run --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.jobs.job import Plan
from runtime.jobs.result import FileResult
from runtime.system.path_text import readable


@dataclass(kw_only=True)
class Totals:
    """Running totals over the results."""

    done: int = 0
    up_to_date: int = 0
    skipped: int = 0
    """Number of targets skipped because they exist but are out of date."""
    failed: int = 0
    planned: int = 0
    """Number of pictures that a dry run would upscale."""
    done_mp: float = 0.0
    """Megapixels of the results."""
    seconds: float = 0.0
    """Duration of the run, from the loaded model to the last result."""

    def add(self, result: FileResult) -> None:
        """Add a result to the totals."""
        if result.status == "planned":
            self.planned += 1
        elif result.status == "done":
            self.done += 1
            self.done_mp += result.target_mp
        elif result.status == "failed":
            self.failed += 1
        elif result.message:
            self.skipped += 1
        else:
            self.up_to_date += 1

    @property
    def pictures(self) -> int:
        """Number of pictures with any outcome."""
        return self.planned + self.done + self.up_to_date + self.skipped + self.failed

    @property
    def mp_per_s(self) -> float:
        """Output megapixels per second."""
        return self.done_mp / self.seconds if self.seconds else 0.0

    @property
    def summary(self) -> str:
        """Human-readable one-line summary."""
        counts = (
            (self.planned, "to upscale"),
            (self.done, "upscaled"),
            (self.up_to_date, "up to date"),
            (self.skipped, "skipped"),
            (self.failed, "failed"),
        )
        text = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing done"
        if self.done:
            text += f" in {self.seconds:.1f} s ({self.mp_per_s:.2f} output megapixels per second)"
        return text


@dataclass(kw_only=True)
class Report:
    """Report of a run so far."""

    files: list[FileResult] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    plan: Plan | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    """Model as requested: a name, a path or a URL."""
    model_sha256: str = ""
    runs_on: str = ""
    precision: str = ""
    """Precision of most of the work on 8-bit pictures."""
    shard: str | None = None
    """Part of a run that this was: `3/16`; None for a whole run."""
    error: str | None = None
    """Error that ended the run early."""
    estimate: Mapping[str, float] | None = None
    """Estimate of a dry run; None for a real one."""

    @property
    def not_reached(self) -> int:
        """Number of pictures that were never reached, because the run ended early."""
        if self.plan is None:
            return 0
        return len(self.plan.jobs) + len(self.plan.unreadable) - self.totals.pictures

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for `json.dumps`."""
        totals = self.totals
        ignored = {
            name: getattr(self.plan, name) if self.plan else 0
            for name in ("hidden", "other", "clips", "links", "system")
        }
        return {
            "model": readable(self.model),
            "model_sha256": self.model_sha256,
            "runs_on": self.runs_on,
            "precision": self.precision,
            "settings": dict(self.settings),
            "shard": self.shard,
            "error": None if self.error is None else readable(self.error),
            **({} if self.estimate is None else {"dry_run": True, "estimate": dict(self.estimate)}),
            "totals": {
                "done": totals.done,
                "up_to_date": totals.up_to_date,
                "skipped": totals.skipped,
                "failed": totals.failed,
                "not_reached": self.not_reached,
                "ignored": ignored,
                "output_megapixels": round(totals.done_mp, 6),
                "seconds": round(totals.seconds, 3),
                "output_megapixels_per_s": round(totals.mp_per_s, 3),
            },
            "files": [_file(result) for result in self.files],
        }


def _file(result: FileResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "status": result.status,
        "message": readable(result.message) or ("up to date" if result.status == "skipped" else ""),
        "target": result.target,
        "source_size_hw": result.source_size_hw,
        "target_size_hw": result.target_size_hw,
        "frames": result.frames,
        "clip": result.clip or None,
        "seconds": result.seconds,
        "notes": [readable(note) for note in result.notes],
    }
