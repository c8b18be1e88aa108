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

APP = """
from pathlib import Path
import runtime.run.batch as batch
from runtime.cli import app

add, done = batch.Batch._add, []
def look_and_add(self, result):
    # Here, because who reads along from outside may come when the process has ended.
    if len(done) in {moments}:
        status = Path("/proc/self/status").read_text()
        Path({folder!r}, f"memory-{{len(done)}}").write_text(status)
    done.append(result.name)
    add(self, result)
batch.Batch._add = look_and_add
app(prog_name="dggn-run")
"""
MOST_GROWTH = 0.05


@dataclass(frozen=True, kw_only=True)
class Found:
    """Measurements of a run."""

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
        """Growth of memory, as a share of its early size."""
        return self.late_mb / self.early_mb - 1

    @property
    def is_complete(self) -> bool:
        """Whether both reports list every picture."""
        return self.reported == self.on_page == self.count


def campaign(folder: Path, *, count: int, early: int) -> Found:
    """Make pictures, and upscale them in one process.

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
    app = APP.format(moments={early, count - 1}, folder=str(folder))
    command = [sys.executable, "-c", app, *map(str, arguments)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    files = json.loads(done.stdout)["files"]
    return Found(
        count=count,
        early_mb=resident_mb(folder / f"memory-{early}"),
        late_mb=resident_mb(folder / f"memory-{count - 1}"),
        seconds=time.monotonic() - began,
        reported=sum(f["status"] == "done" and Path(f["target"]).exists() for f in files),
        on_page=page.read_text(encoding="utf-8").count("<article"),
    )


def resident_mb(status: Path) -> float:
    """Memory of a process, from a copy of its `/proc/self/status`."""
    match = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
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
