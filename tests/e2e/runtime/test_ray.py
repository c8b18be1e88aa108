"""`dggn-run --cluster`: several Ray nodes on loopback, one of which is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("ray")

from tests.support.dggn_run import command, make, run
from tests.support.processes import posix_only, wait_until
from tests.support.ray_cluster import RayCluster, ray_cluster, require_namespaces

pytestmark = [posix_only, pytest.mark.slow]

DEADLY = """
import os, runtime.cluster.hire as hire
class Deadly(hire.Worker):
    def upscale(self, jobs, fingerprints, *, previews):
        harmless = [job for job in jobs if job.name != "killer.png"]
        yield from super().upscale(harmless, fingerprints, previews=previews)
        if len(harmless) < len(jobs):
            os._exit(1)
hire.Worker = Deadly
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    require_namespaces()
    with ray_cluster(1, 1) as cluster:
        yield cluster


def report_of(
    cluster: RayCluster, folder: Path, *arguments: str | Path, first: str = ""
) -> tuple[int, dict[str, Any], str]:
    """Run to the end: exit code, report, and what was said."""
    options = ("--cluster", cluster.address, "--json", "--backend", "cpu")
    pid = cluster.start(command(*arguments, *options, first=first), folder / "log")
    code = cluster.wait(pid)
    text = (folder / "log.out").read_text()
    return code, json.loads(text or "{}"), (folder / "log.err").read_text()


def test_a_picture_that_kills_workers_fails_alone(cluster: RayCluster, tmp_path: Path) -> None:
    make(tmp_path / "in/killer.png")
    for number in range(6):
        make(tmp_path / f"in/{number}.png")
    code, report, said = report_of(
        cluster, tmp_path, tmp_path / "in", tmp_path / "out", first=DEADLY
    )
    assert code == 1, said
    failed = {file["name"]: file["message"] for file in report["files"] if file["status"] != "done"}
    assert set(failed) == {"killer.png"}
    assert "it ended 3 workers" in failed["killer.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--workers", "5"], 2, "the cluster has room for 2"),
        (["--backend", "tensorrt"], 3, "no machine of the cluster has GPUs to offer"),
    ],
)
def test_resources_are_checked_first(
    cluster: RayCluster, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    make(tmp_path / "in/a.png")
    whole = command(tmp_path / "in", tmp_path / "out", "--cluster", cluster.address, *arguments)
    assert cluster.wait(cluster.start(whole, tmp_path / "log")) == code
    assert words in (tmp_path / "log.err").read_text()
    assert not (tmp_path / "out").exists()


def test_a_cluster_of_another_version(cluster: RayCluster, tmp_path: Path) -> None:
    make(tmp_path / "in/a.png")
    whole = command(
        *(tmp_path / "in", tmp_path / "out", "--cluster", cluster.address),
        first="import ray; ray.__version__ = '9.9.9'",
    )
    assert cluster.wait(cluster.start(whole, tmp_path / "log")) == 3
    assert "is of another version" in (tmp_path / "log.err").read_text()


def test_a_machine_is_lost(cluster: RayCluster, tmp_path: Path) -> None:
    """The last test, as the machine stays lost."""
    for number in range(200):
        make(tmp_path / f"in/{number:03}.png", (24 + number % 5, 20))
    out = tmp_path / "out"
    options = ("--cluster", cluster.address, "--json", "--backend", "cpu")
    pid = cluster.start(command(tmp_path / "in", out, *options), tmp_path / "log")
    wait_until(lambda: len(list(out.glob("*.png"))) >= 5)
    cluster.tell("kill", 1)
    assert cluster.wait(pid) == 0, (tmp_path / "log.err").read_text()
    report = json.loads((tmp_path / "log.out").read_text())
    assert len({file["name"] for file in report["files"]}) == len(report["files"]) == 200
    plain = run(tmp_path / "in", tmp_path / "plain", "--quiet", "--backend", "cpu")
    assert plain.returncode == 0, plain.stderr
    for path in (tmp_path / "plain").glob("*.png"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    again = run(tmp_path / "in", out, "--json", "--backend", "cpu")
    assert json.loads(again.stdout)["totals"]["up_to_date"] == 200
