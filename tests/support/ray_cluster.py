"""A Ray cluster of several nodes on loopback, in its own network namespace.

Run as a program: it starts the nodes, says the head's address, and does what it is told, a line
each: `kill N` ends a node's raylet without warning, `add` starts another one, `run [...]` runs a
command in the namespace in the background.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.processes import HANGS_S, run, started

ROOT = Path(__file__).parents[2]


def in_namespace(command: Sequence[str | Path]) -> list[str]:
    """Return a command line that runs another one with loopback only."""
    script = 'ip link set lo up && exec "$@"'
    return ["unshare", "--net", "sh", "-c", script, "sh", *map(str, command)]


def require_namespaces() -> None:
    """Skip if no network namespace can be made."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("unshare and ip are not installed")
    if run(in_namespace(["true"])).returncode:
        pytest.skip("no network namespace may be made here")


class RayCluster:
    """A cluster in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        self.address = str(self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate(timeout=HANGS_S)[1][-3000:]
        return json.loads(line)

    def tell(self, *words: Any) -> Any:
        """Send a command, and wait for the answer."""
        assert self._process.stdin is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        return self._answer()

    def start(self, command: Sequence[str | Path], out: Path) -> int:
        """Run a command in the namespace; its output goes to files beside `out`."""
        return int(self.tell("start", [str(part) for part in command], str(out)))

    def wait(self, pid: int) -> int:
        """Wait for such a command, and return its exit code."""
        return int(self.tell("wait", pid))


@contextlib.contextmanager
def ray_cluster(*cpus: int, **variables: str) -> Iterator[RayCluster]:
    """Run a cluster with this many CPUs per node; the head has none.

    Workers find `variables` in their environment.
    """
    command = [sys.executable, __file__, *map(str, cpus)]
    environment = {
        **os.environ,
        **variables,
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "200",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "5",
    }
    with started(in_namespace(command), stdin=subprocess.PIPE, env=environment) as process:
        cluster = RayCluster(process)
        try:
            yield cluster
        finally:
            with contextlib.suppress(AssertionError, OSError):
                cluster.tell("end")


def _serve(cpus: Sequence[int], answers: IO[str]) -> None:
    from ray.cluster_utils import Cluster

    quiet = {"include_dashboard": False, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **quiet})
    nodes = [cluster.add_node(num_cpus=count, **quiet) for count in cpus]
    cluster.wait_for_nodes()
    commands: dict[int, subprocess.Popen[bytes]] = {}

    def answer(what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    answer(cluster.address)
    for line in sys.stdin:
        word, *rest = json.loads(line)
        if word == "kill":
            cluster.remove_node(nodes[rest[0]], allow_graceful=False)
            answer(True)
        elif word == "start":
            command, out = rest
            with Path(f"{out}.out").open("wb") as stdout, Path(f"{out}.err").open("wb") as stderr:
                process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
            commands[process.pid] = process
            answer(process.pid)
        elif word == "wait":
            answer(commands[rest[0]].wait())
        elif word == "end":
            cluster.shutdown()
            answer(True)
            return


if __name__ == "__main__":
    # Ray and what it starts may print to standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _serve([int(count) for count in sys.argv[1:]], answers)
