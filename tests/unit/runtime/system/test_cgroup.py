from __future__ import annotations

from pathlib import Path

import pytest

from runtime.run import memory
from runtime.system import cgroup

MIB = 1 << 20
NO_LIMIT_1 = "9223372036854771712"


@pytest.mark.parametrize(
    ("membership", "files", "cpu", "bytes_"),
    [
        ("0::/", {"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ("0::/", {"cpu.max": "150000 100000", "memory.max": str(64 * MIB)}, 1.5, 64 * MIB),
        # A service in a slice: the tighter of the two counts.
        (
            "0::/user.slice/a.service",
            {
                "user.slice/cpu.max": "100000 100000",
                "user.slice/a.service/cpu.max": "300000 100000",
                "user.slice/memory.max": "max",
                "user.slice/a.service/memory.max": str(32 * MIB),
            },
            1.0,
            32 * MIB,
        ),
        ("0::/a", {"a/memory.max": "max", "a/memory.high": str(16 * MIB)}, None, 16 * MIB),
        # A container that sees the host's path, but its own group as the root.
        ("0::/system.slice/docker-1f2e.scope", {"cpu.max": "200000 100000"}, 2.0, None),
        (
            "5:cpu,cpuacct:/docker/1f2e\n4:memory:/docker/1f2e\n0::/",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "50000",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": str(8 * MIB),
            },
            0.5,
            8 * MIB,
        ),
        (
            "2:cpu:/a/b\n4:memory:/a/b",
            {
                "cpu/a/cpu.cfs_quota_us": "300000",
                "cpu/a/cpu.cfs_period_us": "100000",
                "cpu/a/b/cpu.cfs_quota_us": "-1",
                "cpu/a/b/cpu.cfs_period_us": "100000",
                "memory/a/memory.limit_in_bytes": str(4 * MIB),
                "memory/a/b/memory.limit_in_bytes": NO_LIMIT_1,
            },
            3.0,
            4 * MIB,
        ),
        # Both versions at once, as systemd mounts them.
        ("1:name=systemd:/\n0::/a", {"unified/a/memory.max": str(MIB)}, None, MIB),
        ("nonsense", {"memory.max": "5"}, None, None),
        ("0::/", {"cpu.max": "", "memory.max": "nonsense"}, None, None),
    ],
)
def test_limits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    membership: str,
    files: dict[str, str],
    cpu: float | None,
    bytes_: int | None,
) -> None:
    for name, content in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    (tmp_path / "membership").write_text(membership + "\n")
    monkeypatch.setattr(cgroup, "ROOT", tmp_path / "root")
    monkeypatch.setattr(cgroup, "MEMBERSHIP", tmp_path / "membership")
    assert cgroup.cpu_limit() == cpu
    assert cgroup.memory_limit() == bytes_
    assert memory.total_memory_bytes() == (bytes_ or memory.total_memory_bytes())


def test_elsewhere_there_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "MEMBERSHIP", tmp_path / "none")
    assert (cgroup.cpu_limit(), cgroup.memory_limit()) == (None, None)
