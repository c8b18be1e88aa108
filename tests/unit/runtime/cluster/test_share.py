from __future__ import annotations

import pytest

from runtime.cluster.share import Node, Slot, divide
from runtime.errors import ConfigError, EnvironmentProblem


def node(name: str, cpus: int, gpus: int = 0) -> Node:
    return Node(node_id=name, host=name, cpus=cpus, gpus=gpus, memory_bytes=64 << 30)


def shares(
    *nodes: Node, workers: int | None = None, on_gpu: bool | None = None
) -> list[tuple[str, int, int]]:
    slots = divide(nodes, workers=workers, on_gpu=on_gpu, memory_bytes=None)
    return [(slot.node.host, slot.cpus, slot.gpus) for slot in slots]


def test_a_worker_for_each_gpu_or_group_of_cores() -> None:
    assert shares(node("a", 16, 2), node("b", 40)) == [
        ("a", 8, 1),
        ("a", 8, 1),
        ("b", 20, 0),
        ("b", 20, 0),
    ]
    assert shares(node("small", 3), node("head", 0)) == [("small", 3, 0)]


def test_gpus_alone_or_none() -> None:
    machines = (node("a", 8, 1), node("b", 8))
    assert shares(*machines, on_gpu=True) == [("a", 8, 1)]
    assert shares(*machines, on_gpu=False) == [("a", 8, 0), ("b", 8, 0)]


def test_as_many_as_are_asked_for() -> None:
    assert shares(node("a", 8), node("b", 4), workers=1) == [("a", 8, 0)]
    assert shares(node("a", 8), node("b", 4), workers=3) == [("a", 4, 0), ("a", 4, 0), ("b", 4, 0)]


def test_memory_is_divided() -> None:
    def memory(asked: int | None) -> set[int]:
        slots: list[Slot] = divide([node("a", 32)], workers=4, on_gpu=None, memory_bytes=asked)
        return {slot.memory_bytes for slot in slots}

    assert memory(None) == {16 << 30}
    assert memory(8 << 30) == {2 << 30}


def test_what_is_missing_is_said() -> None:
    with pytest.raises(EnvironmentProblem, match="GPUs to offer"):
        shares(node("a", 8), on_gpu=True)
    with pytest.raises(EnvironmentProblem, match="CPUs to offer"):
        shares(node("head", 0))
    with pytest.raises(ConfigError, match="has room for 8"):
        shares(node("a", 8), workers=9)


def test_what_ray_says_of_a_node() -> None:
    said = {
        "NodeID": "x",
        "NodeManagerAddress": "10.0.0.1",
        "NodeManagerHostname": "gpu-1",
        "Resources": {"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0},
    }
    found = Node.of(said)
    assert (found.host, found.cpus, found.gpus, found.memory_bytes) == ("gpu-1", 8, 2, 10**9)
    assert Node.of({**said, "Resources": {}}).cpus == 0
