"""Divides the machines of a cluster among workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.errors import ConfigError, EnvironmentProblem

GROUP_CORES = 16
"""Cores of one worker: with more, one network gains less than two workers do."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster, with its resources in Ray."""

    node_id: str
    host: str
    cpus: int
    gpus: int
    memory_bytes: int

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Node:
        """Parse an entry of `ray.nodes()`."""
        resources = described["Resources"]
        return cls(
            node_id=described["NodeID"],
            host=described.get("NodeManagerHostname") or described["NodeManagerAddress"],
            cpus=int(resources.get("CPU", 0)),
            gpus=int(resources.get("GPU", 0)),
            memory_bytes=int(resources.get("memory", 0)),
        )


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A worker's share of a machine."""

    node: Node
    cpus: int
    gpus: int
    memory_bytes: int


def divide(
    nodes: Iterable[Node], *, workers: int | None, on_gpu: bool | None, memory_bytes: int | None
) -> list[Slot]:
    """Assign a worker to every GPU, or to every group of cores.

    Args:
        nodes: machines that are alive.
        workers: how many; None for as many as there are GPUs, or groups of cores.
        on_gpu: whether GPUs are wanted; None for where they are.
        memory_bytes: that pictures may take on each machine; None for what Ray counts.

    Raises:
        EnvironmentProblem: the cluster has no such resources.
        ConfigError: it has not enough for so many workers.
    """
    places = [node for node in nodes if can_work(node, on_gpu)]
    if not places:
        what = "GPUs" if on_gpu else "CPUs"
        raise EnvironmentProblem(
            f"no machine of the cluster has {what} to offer: start one with "
            f"`ray start --address=... --num-{what.lower()}=N`, or choose another --backend"
        )
    most = sum(_most(node, on_gpu) for node in places)
    if workers is not None and workers > most:
        raise ConfigError(
            f"--workers is {workers}, and the cluster has room for {most}: a worker takes a GPU, "
            "or at least one core"
        )
    counts = dict.fromkeys(places, 0)
    for _ in range(workers or sum(_usual(node, on_gpu) for node in places)):
        # On the machine where a further worker gets the largest share.
        free = [node for node in places if counts[node] < _most(node, on_gpu)]
        best = max(free, key=lambda node: _power(node, on_gpu) / (counts[node] + 1))
        counts[best] += 1
    return [
        _slot(node, count, on_gpu, memory_bytes)
        for node, count in counts.items()
        for _ in range(count)
    ]


def can_work(node: Node, on_gpu: bool | None) -> bool:
    """Return whether a machine has room for a worker; for `on_gpu` see :func:`divide`."""
    return _most(node, on_gpu) > 0


def _uses_gpu(node: Node, on_gpu: bool | None) -> bool:
    return node.gpus > 0 and on_gpu is not False


def _most(node: Node, on_gpu: bool | None) -> int:
    if _uses_gpu(node, on_gpu):
        return node.gpus if node.cpus else 0
    return 0 if on_gpu else node.cpus


def _usual(node: Node, on_gpu: bool | None) -> int:
    return node.gpus if _uses_gpu(node, on_gpu) else max(1, node.cpus // GROUP_CORES)


def _power(node: Node, on_gpu: bool | None) -> float:
    return 1000.0 * node.gpus if _uses_gpu(node, on_gpu) else node.cpus


def _slot(node: Node, count: int, on_gpu: bool | None, memory_bytes: int | None) -> Slot:
    return Slot(
        node=node,
        # A GPU's worker may share a core with others.
        cpus=max(1, node.cpus // count) if node.cpus >= count else 0,
        gpus=1 if _uses_gpu(node, on_gpu) else 0,
        memory_bytes=(memory_bytes or node.memory_bytes) // count,
    )
