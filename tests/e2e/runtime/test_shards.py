"""`dggn-run --shard` as array jobs: at the same time, killed and repeated."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from runtime.jobs.shard import Shard
from tests.support.dggn_run import make, run, start
from tests.support.processes import BLOCKS_S, HANGS_S, posix_only, wait_until

pytestmark = posix_only

COUNT = 4
KILLED = Shard(2, COUNT)

BLOCKS_AT = """
import time, runtime.codecs.encode as encoder
real = encoder.encode
def encode(picture, target, settings):
    if target.name == {name!r}:
        (target.parent / "blocked").touch()
        time.sleep({seconds})
    return real(picture, target, settings)
encoder.encode = encode
"""


def test_four_at_once_and_one_killed(tmp_path: Path) -> None:
    names = [f"{number:02}.png" for number in range(16)]
    for name in names:
        make(tmp_path / "in" / name)
    out = tmp_path / "out"
    last = [name for name in names if KILLED.holds(name)][-1]
    blocks = BLOCKS_AT.format(name=last, seconds=BLOCKS_S)
    arguments = (tmp_path / "in", out, "--threads", "1", "--json")
    whole = run(tmp_path / "in", tmp_path / "whole", "--threads", "1")
    assert whole.returncode == 0, whole.stderr

    with ExitStack() as stack:
        shards = [
            stack.enter_context(start(*arguments, "--shard", f"{index}/{COUNT}", first=blocks))
            for index in range(COUNT)
        ]
        wait_until((out / "blocked").exists, shards[KILLED.index])
        # The same shard twice, and a whole run beside shards, are refused.
        for extra in (["--shard", str(KILLED)], []):
            refused = run(*arguments, *extra)
            assert refused.returncode == 3
            assert "is writing to" in refused.stderr
        shards[KILLED.index].send_signal(signal.SIGKILL)
        reports = []
        for index, process in enumerate(shards):
            stdout, stderr = process.communicate(timeout=HANGS_S)
            if index != KILLED.index:
                assert process.returncode == 0, stderr
                reports.append(json.loads(stdout))
    (out / "blocked").unlink()
    assert not (out / last).exists()
    done = [file["name"] for report in reports for file in report["files"]]
    assert sorted(done) == [name for name in names if not KILLED.holds(name)], "each once"

    again = run(*arguments, "--shard", str(KILLED))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["shard"] == str(KILLED)
    for extra in (["--shard", "1/3"], []):
        result = run(*arguments, *extra)
        totals = json.loads(result.stdout)["totals"]
        assert (totals["done"], totals["failed"]) == (0, 0)
    assert totals["up_to_date"] == len(names)
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list(out.glob("*.partial"))


@pytest.mark.parametrize("text", ["4/4", "x"])
def test_a_shard_that_does_not_exist_begins_nothing(tmp_path: Path, text: str) -> None:
    make(tmp_path / "in/a.png")
    result = run(tmp_path / "in", tmp_path / "out", "--shard", text)
    assert result.returncode == 2
    assert "dggn-run: --shard is" in result.stderr
    assert not (tmp_path / "out").exists()
