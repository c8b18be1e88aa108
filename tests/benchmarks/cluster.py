"""The cost of a Ray cluster for each picture, against a plain run.

    python -m tests.benchmarks.cluster [--pictures 200] [--rounds 5] [--workers 1]

Starts a cluster of as many nodes as workers, each with one CPU, on loopback in a network namespace.
Small pictures, by turns on the cluster and plainly, in short and long folders: what the longer
folder takes beyond the shorter one, for each picture more, is free of the start. Prints the least
of all rounds, in milliseconds: the time on the clock, which needs an idle machine, and the
processors' time of the command, and of workers and daemons, less what these take while nothing is
done. On an idle machine the command works beside the workers.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import platform
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

from tests.support.dggn_run import command, make
from tests.support.ray_cluster import RayCluster, ray_cluster

SIZE_PX = (24, 20)
IDLE_S = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    few = max(1, options.pictures // 10)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(options.pictures + few):
            part = "many" if number < options.pictures else "few"
            make(folder / part / f"{number:04}.png", SIZE_PX)
        with ray_cluster(*[1] * options.workers) as cluster:
            ways = {
                "plain": ["--threads", str(options.workers)],
                "cluster": ["--cluster", cluster.address, "--workers", str(options.workers)],
            }
            spend = _Spending(cluster.pid)
            took = [
                {(way, part): _run(cluster, folder, part, ways[way], spend) for way, part in order}
                for order in [list(itertools.product(ways, ("few", "many")))] * options.rounds
            ]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; Ray ", end="")
    print(
        f"{version('ray')}; {options.pictures} pictures of {SIZE_PX[0]}x{SIZE_PX[1]} px, ", end=""
    )
    print(f"{options.workers} workers; idle daemons {100 * spend.idle:.0f} % of a core")
    for number, kind in enumerate(("clock", "processors, command", "processors, others")):
        least = {key: min(one[key][number] for one in took) for key in took[0]}
        plain, cluster_s = (
            1e3 * (least[way, "many"] - least[way, "few"]) / (options.pictures - few)
            for way in ways
        )
        print(f"{kind}: plain {plain:.2f}, cluster {cluster_s:.2f} ms a picture")


class _Spending:
    """Processors' time of everything in a network namespace, ended processes included.

    It is looked up ten times a second, since Ray waits for no process of its own.

    Args:
        pid: a process in it.
    """

    def __init__(self, pid: int) -> None:
        self._namespace = _namespace(Path(f"/proc/{pid}"))
        self._ticks: dict[str, int] = {}
        threading.Thread(target=self._look_on, daemon=True).start()
        before = self.seconds
        time.sleep(IDLE_S)
        self.idle = (self.seconds - before) / IDLE_S
        """Share of a core that the daemons take by themselves."""

    @property
    def seconds(self) -> float:
        """Return the time until now."""
        self._look()
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def of(self, pid: int) -> float:
        """Return the time of one process until now or its end."""
        return self._ticks.get(str(pid), 0) / os.sysconf("SC_CLK_TCK")

    def _look_on(self) -> None:
        while True:
            self._look()
            time.sleep(0.1)

    def _look(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if _namespace(process) == self._namespace:
                    fields = (process / "stat").read_text().rpartition(")")[2].split()
                    self._ticks = {**self._ticks, process.name: int(fields[11]) + int(fields[12])}


def _namespace(process: Path) -> Path:
    return (process / "ns" / "net").readlink()


def _run(
    cluster: RayCluster, folder: Path, part: str, options: list[str], spend: _Spending
) -> tuple[float, float, float]:
    """Return the seconds on the clock, and of processors: of the command, and of the others."""
    whole = command(
        *(folder / part, folder / "out", "--overwrite", "--quiet", "--backend", "cpu"), *options
    )
    begun, spent = time.monotonic(), spend.seconds
    pid = cluster.start(whole, folder / "log")
    if cluster.wait(pid):
        raise SystemExit((folder / "log.err").read_text())
    took = time.monotonic() - begun
    others = spend.seconds - spent - spend.of(pid)
    return took, spend.of(pid), others - spend.idle * took


if __name__ == "__main__":
    main()
