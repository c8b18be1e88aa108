"""Times `dggn-run --help` in units of a bare `import typer`.

    python tests/benchmarks/import_time.py

Prints the median of both and their ratio; the ratio is expected to be at most 2.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 15
BARE = "import typer"
HELP = "from runtime.cli import app; app(['--help'], prog_name='dggn-run')"


def seconds(code: str) -> float:
    start_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def main() -> None:
    bare_s, help_s = [], []
    for _ in range(REPEATS):  # Alternating, so that other load affects both alike.
        bare_s.append(seconds(BARE))
        help_s.append(seconds(HELP))
    bare, full = statistics.median(bare_s), statistics.median(help_s)
    print(f"import typer    {bare * 1000:6.0f} ms")
    print(f"dggn-run --help {full * 1000:6.0f} ms")
    print(f"ratio           {full / bare:6.2f}")


if __name__ == "__main__":
    main()
