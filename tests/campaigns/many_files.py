"""Many small files in one run: memory must not grow with their number. Needs Linux.

    python tests/campaigns/many_files.py [--count 10000]

Prints the resident memory after the first 500 pictures and at the end, and whether the report is
complete.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

APP = "from runtime.cli import app; app(prog_name='dggn-run')"
MOST_GROWTH = 0.05


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run was like."""

    count: int
    early_mb: float
    """Resident megabytes after the first pictures."""
    late_mb: float
    """The same before the last one."""
    seconds: float
    reported: int
    """Pictures in the JSON report that are done and whose result is there."""
    on_page: int
    """Pictures on the HTML page."""

    @property
    def growth(self) -> float:
        """Of the memory, as a share of what it was early."""
        return self.late_mb / self.early_mb - 1

    @property
    def is_complete(self) -> bool:
        """Whether every picture is in both reports."""
        return self.reported == self.on_page == self.count


def campaign(folder: Path, *, count: int, early: int) -> Found:
    """Make pictures and upscale them in one process.

    Args:
        folder: empty.
        count: of the pictures.
        early: after so many, memory is looked at first.
    """
    source, target, page = folder / "in", folder / "out", folder / "report.html"
    generator = np.random.default_rng(0)
    for number in range(count):
        place = source / f"{number // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        noise = generator.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(noise).save(place / f"{number:06}.png")
    arguments = [source, target, "--json", "--report", page]
    command = [sys.executable, "-c", APP, *map(str, arguments)]
    memory_mb = {}
    began = time.monotonic()
    with (
        (folder / "report.json").open("w+") as report,
        subprocess.Popen(command, stdout=report, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr
        for line in process.stderr:
            match = re.match(r"\[ *(\d+)/", line)
            if match and int(match[1]) in (early, count - 1):
                memory_mb[int(match[1])] = resident_mb(process.pid)
        process.wait()
        report.seek(0)
        files = json.load(report)["files"]
    assert process.returncode == 0
    return Found(
        count=count,
        early_mb=memory_mb[early],
        late_mb=memory_mb[count - 1],
        seconds=time.monotonic() - began,
        reported=sum(f["status"] == "done" and Path(f["target"]).exists() for f in files),
        on_page=page.read_text(encoding="utf-8").count("<article"),
    )


def resident_mb(pid: int) -> float:
    """Of a process that is running."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match
    return int(match[1]) / 1024


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--early", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), count=options.count, early=options.early)
    print(f"{found.count} pictures in {found.seconds:.0f} s")
    print(f"after {options.early}: {found.early_mb:.1f} MB; at the end: {found.late_mb:.1f} MB")
    print(f"growth {found.growth:+.1%}; reports complete: {found.is_complete}")
    sys.exit(not (found.is_complete and found.growth <= MOST_GROWTH))


if __name__ == "__main__":
    main()
