"""The files of `deploy/`, as far as possible without a scheduler or Docker."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.processes import posix_only, run

DEPLOY = Path(__file__).parents[2] / "deploy"
ROOT = DEPLOY.parent


@posix_only
def test_a_job_of_a_slurm_array_does_its_shard(tmp_path: Path) -> None:
    stand_in = tmp_path / "dggn-run"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_ARRAY_TASK_COUNT": "16",
    }
    done = run([DEPLOY / "slurm-array.sh", "a folder", "large"], env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["a folder", "large", "--shard", "3/16"]
    assert "#SBATCH --array=0-15" in (DEPLOY / "slurm-array.sh").read_text()


def test_a_kubernetes_job_has_an_index_for_each_shard() -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((DEPLOY / "kubernetes-job.yaml").read_text())
    spec = job["spec"]
    assert (job["kind"], spec["completionMode"]) == ("Job", "Indexed")
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--shard", f"$(JOB_COMPLETION_INDEX)/{spec['completions']}"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    # Kubernetes requires these for a per-index policy.
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert rule["action"] == "FailIndex"
    assert spec["backoffLimitPerIndex"] > 0


def test_images_hold_what_they_need() -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (DEPLOY / "Dockerfile").read_text()
    extras = [extra for group in re.findall(r"\[([\w,]+)\]", text) for extra in group.split(",")]
    assert {"cpu", "trt", "cloud"} <= set(extras) <= set(project["optional-dependencies"])
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name in (*("pyproject.toml", "README.md", "LICENSE", "constraints.txt"), "runtime"):
        assert f"!{name}" in kept
