"""Names with letters beyond ASCII under a locale that has none, against one that has all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from runtime.model.info import model_path
from tests.support.dggn_run import files, make, run, statuses
from tests.support.processes import posix_only

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF_8 = {"LC_ALL": "C.UTF-8"}
NAMES = {"\u00dcnter/\u732b.jpg", "\u00e9.png", "plain.png"}
REPORT = ("--json", "--quiet")


def locale(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ("LANG", *ASCII):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@posix_only
@pytest.mark.parametrize(("first", "second"), [(ASCII, UTF_8), (UTF_8, ASCII), (ASCII, ASCII)])
def test_a_run_knows_what_one_under_another_locale_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: dict[str, str],
    second: dict[str, str],
) -> None:
    source, out, page = tmp_path / "in", tmp_path / "\u00f6ut", tmp_path / "\u00df.html"
    for name in NAMES:
        make(source / name)
    locale(monkeypatch, first)
    done = run(source, out, "--report", page, *REPORT)
    assert statuses(json.loads(done.stdout)) == dict.fromkeys(NAMES, "done"), done.stderr
    assert {file["target"] for file in json.loads(done.stdout)["files"]} == {
        str(out / name) for name in NAMES
    }
    assert files(out) == NAMES
    assert "<h2>\u00dcnter/\u732b.jpg</h2>" in page.read_text(encoding="utf-8")
    locale(monkeypatch, second)
    again = run(source, out, *REPORT)
    assert json.loads(again.stdout)["totals"]["up_to_date"] == len(NAMES), again.stdout
    assert again.returncode == 0


@posix_only
def test_shards_share_names_under_any_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        make(tmp_path / f"in/\u00e9{number}.png")
    found: list[str] = []
    for shard, variables in (("0/2", ASCII), ("1/2", UTF_8)):
        locale(monkeypatch, variables)
        result = run(tmp_path / "in", tmp_path / "out", "--shard", shard, *REPORT)
        found += statuses(json.loads(result.stdout))
    assert sorted(found) == [f"\u00e9{number}.png" for number in range(8)]


@posix_only
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_model_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    pytest.importorskip(backend)
    picture = make(tmp_path / "\u00e9.png")
    model = tmp_path / "m\u00f6.onnx"
    shutil.copy(model_path("dggn-lite"), model)
    locale(monkeypatch, ASCII)
    result = run(picture, tmp_path / "out", "--model", model, "--backend", backend)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "out") == {"\u00e9.png"}


@posix_only
def test_messages_and_dry_runs_have_names_and_no_escapes_of_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = make(tmp_path / "in/\u732b.png")
    locale(monkeypatch, ASCII)
    planned = run(picture.parent, tmp_path / "out", "--dry-run")
    missing = run(tmp_path / "\u732b.jpg", tmp_path / "out", "--json")
    assert planned.returncode == 0, planned.stderr
    for text in (planned.stdout, missing.stderr):
        assert "\u732b" in text or "\\u732b" in text
        assert "\\udc" not in text
