"""`dggn-run --cluster` with several Ray nodes on loopback, one of which is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
pytest.importorskip("ray")

from tests.support.dggn_run import command, make, run
from tests.support.object_store import BUCKET, KEY_ID
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


PORT = 9000
"""Address of the S3 server, in the cluster's own network."""

CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": "secret"}
ENDPOINT = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}", "AWS_REGION": "us-east-1"}

STORE = """
import sys, time
from pathlib import Path
from tests.support.object_store import s3_server
source, target = map(Path, sys.argv[1:])
with s3_server({port}) as server:
    for path in source.iterdir():
        server.put(f"in/{{path.name}}", path.read_bytes())
    (target / "ready").touch()
    while not (target / "asked").exists():
        time.sleep(0.05)
    for key in server.keys("out/"):
        (target / key).write_bytes(server.get(f"out/{{key}}"))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    require_namespaces()
    with ray_cluster(1, 1, **CREDENTIALS, **ENDPOINT) as cluster:
        yield cluster


def report_of(
    cluster: RayCluster, folder: Path, *arguments: str | Path, first: str = ""
) -> tuple[int, dict[str, Any], str]:
    """Run to the end; return exit code, report and messages."""
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


def test_ctrl_c(cluster: RayCluster, tmp_path: Path) -> None:
    for number in range(100):
        make(tmp_path / f"in/{number:02}.png")
    out = tmp_path / "out"
    options = ("--cluster", cluster.address, "--json", "--backend", "cpu")
    pid = cluster.start(command(tmp_path / "in", out, *options), tmp_path / "log")
    wait_until(lambda: len(list(out.glob("*.png"))) >= 3)
    os.kill(pid, signal.SIGINT)
    assert cluster.wait(pid) == 130, (tmp_path / "log.err").read_text()
    report = json.loads((tmp_path / "log.out").read_text())
    assert report["error"] == "interrupted"
    assert {path.name for path in out.glob(".*")} == {".dggn-run.jsonl"}
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            image.load()


def test_a_store_without_a_journal(cluster: RayCluster, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    pytest.importorskip("flask_cors")
    for number in range(8):
        make(tmp_path / f"in/{number}.png", (24 + number, 20))
    kept = tmp_path / "kept"
    kept.mkdir()
    code = STORE.format(port=PORT)
    store = cluster.start([sys.executable, "-c", code, tmp_path / "in", kept], tmp_path / "store")
    wait_until((kept / "ready").exists)
    ends = (f"s3://{BUCKET}/in", f"s3://{BUCKET}/out")
    exit_code, report, said = report_of(cluster, tmp_path, *ends)
    assert exit_code == 0, said
    assert report["totals"]["done"] == 8
    exit_code, report, said = report_of(cluster, tmp_path, *ends)
    assert (exit_code, report["totals"]["up_to_date"]) == (0, 8), said
    (kept / "asked").touch()
    assert cluster.wait(store) == 0
    plain = run(tmp_path / "in", tmp_path / "plain", "--quiet", "--backend", "cpu")
    assert plain.returncode == 0, plain.stderr
    for path in (tmp_path / "plain").glob("*.png"):
        assert (kept / path.name).read_bytes() == path.read_bytes()


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
