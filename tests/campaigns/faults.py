"""Stop, kill and starve dggn-run at random points, and see what is left.

    python tests/campaigns/faults.py [--runs 50] [--pictures 12] [--seed 0]

Each run of a kind of fault is followed by undisturbed ones, until all is done. After the fault,
every output must be absent or byte for byte what an undisturbed run writes; in the end all must be
there; and a picture whose completion was noted must not be done again. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

APP = "from runtime.cli import app; app(prog_name='dggn-run')"
LIMIT_S = 300
JOURNAL = ".dggn-run.jsonl"

ENCODER_RAISES = """
import random, runtime.run.stages as stages
generator, real = random.Random({seed}), stages.encode
def encode(*arguments):
    if generator.random() < 0.3:
        raise ValueError('the encoder broke')
    return real(*arguments)
stages.encode = encode
"""
BACKEND_RAISES = """
import random, runtime.upscaler as upscaler
from runtime.errors import BackendError
left, real = [random.Random({seed}).randrange(1, {pictures})], upscaler.submit_in_tiles
def submit_in_tiles(*arguments, **options):
    left[0] -= 1
    if not left[0]:
        raise BackendError('the tile broke')
    return real(*arguments, **options)
upscaler.submit_in_tiles = submit_in_tiles
"""
DISK_FULL = """
import random, resource
limit = random.Random({seed}).randrange(2_000, 20_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""
FAULTS = {
    "SIGTERM": "",
    "SIGKILL": "",
    "encoder raises": ENCODER_RAISES,
    "backend raises on a tile": BACKEND_RAISES,
    "no file may grow": DISK_FULL,
    "disk full": "",
}


@dataclass(kw_only=True)
class Counts:
    """Findings over all runs of one kind of fault."""

    runs: int = 0
    kept: int = 0
    """Results that were there after the fault."""
    wrong: int = 0
    """Results that were there, but incomplete or not as they should be."""
    lost: int = 0
    """Results that were still missing at the end."""
    repeated: int = 0
    """Pictures that were noted as complete, and done again."""
    leftovers: int = 0
    """Temporary files at the end."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, lost, done twice or left over."""
        return not (self.wrong or self.lost or self.repeated or self.leftovers)


def make_pictures(folder: Path, count: int) -> None:
    """Small pictures of noise, each different, of growing size."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        noise = generator.integers(0, 256, (16 + 2 * number, 24, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number:03}.png")


def command(source: Path, target: Path, first: str = "") -> list[str]:
    """The command line, with Python code that runs before it."""
    return [sys.executable, "-c", first + APP, str(source), str(target), "--json", "--quiet"]


def results_in(folder: Path) -> dict[str, bytes]:
    """Every picture in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def noted_in(folder: Path) -> set[str]:
    """Pictures that the journal says are complete; its last line may be torn."""
    noted = {}
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                noted[entry["output"]] = entry["output_bytes"] is not None
    return {name for name, is_complete in noted.items() if is_complete}


def disturb(kind: str, source: Path, target: Path, *, seed: int, duration_s: float) -> None:
    """Run once with a fault."""
    pictures = len(list(source.iterdir()))
    first = FAULTS[kind].format(seed=seed, pictures=pictures)
    arguments = command(source, target, first)
    if not kind.startswith("SIG"):
        subprocess.run(arguments, capture_output=True, timeout=LIMIT_S)
        return
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(random.Random(seed).uniform(0.2, 1.1) * duration_s)
        process.send_signal(getattr(signal, kind))
        process.communicate(timeout=LIMIT_S)


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[bool]:
    """Mount a tiny tmpfs; return whether that worked."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def check(counts: Counts, source: Path, target: Path, expected: dict[str, bytes]) -> None:
    """Check the state after a fault, finish with undisturbed runs, and check again."""
    found, noted = results_in(target), noted_in(target)
    counts.runs += 1
    counts.kept += len(found)
    counts.wrong += sum(content != expected[name] for name, content in found.items())
    again = subprocess.run(command(source, target), capture_output=True, timeout=LIMIT_S)
    done = {file["name"] for file in json.loads(again.stdout)["files"] if file["status"] == "done"}
    counts.repeated += len(done & noted)
    final = results_in(target)
    counts.lost += len(expected.keys() - final.keys())
    counts.wrong += sum(content != expected[name] for name, content in final.items())
    counts.leftovers += len(list(target.rglob("*.partial")))


def campaign(folder: Path, *, runs: int, pictures: int, seed: int = 0) -> dict[str, Counts]:
    """Run every kind of fault several times.

    Returns:
        What was found, by kind; a kind that cannot be caused on this machine is left out.
    """
    source = folder / "in"
    make_pictures(source, pictures)
    began = time.monotonic()
    subprocess.run(command(source, folder / "whole"), check=True, capture_output=True)
    duration_s = time.monotonic() - began
    expected = results_in(folder / "whole")
    assert len(expected) == pictures
    all_bytes = sum(map(len, expected.values()))
    found: dict[str, Counts] = {}
    for kind in FAULTS:
        counts = Counts()
        for number in range(runs):
            target = folder / f"{kind}-{number}".replace(" ", "-")
            if kind == "disk full":
                share = random.Random(seed + number).uniform(0.2, 0.9)
                with small_disk(target, max(16_384, int(all_bytes * share))) as mounted:
                    if not mounted:
                        break
                    disturb(kind, source, target, seed=seed + number, duration_s=duration_s)
                    grow = ["mount", "-o", f"remount,size={8 * all_bytes}", str(target)]
                    subprocess.run(grow, check=True)
                    check(counts, source, target, expected)
            else:
                disturb(kind, source, target, seed=seed + number, duration_s=duration_s)
                target.mkdir(exist_ok=True)
                check(counts, source, target, expected)
        if counts.runs:
            found[kind] = counts
    return found


def table(found: dict[str, Counts]) -> str:
    """Markdown."""
    lines = [
        "| fault | runs | results kept | wrong | lost | done twice | leftovers |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {kind} | {c.runs} | {c.kept} | {c.wrong} | {c.lost} | {c.repeated} | {c.leftovers} |"
        for kind, c in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(
            Path(folder), runs=options.runs, pictures=options.pictures, seed=options.seed
        )
    print(table(found))
    sys.exit(not all(counts.is_good for counts in found.values()))


if __name__ == "__main__":
    main()
