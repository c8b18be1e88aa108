"""`dggn-run` from and to Azure Blob Storage, which an emulator plays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("obstore")

from tests.support.azure import CONTAINER, azurite
from tests.support.dggn_run import make, run, statuses


def url(key: str) -> str:
    return f"az://{CONTAINER}/{key}"


@pytest.mark.slow
def test_there_and_back_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "azurite").mkdir()
    with azurite(tmp_path / "azurite") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for name in ("a.png", "sub/é +%.png"):
            make(tmp_path / "in" / name)
        local = run(tmp_path / "in", tmp_path / "local")
        assert local.returncode == 0, local.stderr

        # A folder's own pictures as sources in the store, and their results beside them.
        from runtime.stores.client import ObjectStore, ResultStamp
        from runtime.stores.url import StoreUrl

        place = StoreUrl("az", CONTAINER, "in")
        store = ObjectStore(place)
        for path in (tmp_path / "in").rglob("*.png"):
            key = path.relative_to(tmp_path / "in").as_posix()
            store.put(path, place.child(key), ResultStamp())
        there = run(url("in"), url("out"), "--json")
        assert there.returncode == 0, there.stderr
        assert set(statuses(json.loads(there.stdout)).values()) == {"done"}
        back = run(url("in"), tmp_path / "back")
        assert back.returncode == 0, back.stderr
        for path in (tmp_path / "local").rglob("*.png"):
            key = path.relative_to(tmp_path / "local").as_posix()
            store.fetch(StoreUrl("az", CONTAINER, f"out/{key}"), tmp_path / "copy")
            assert (tmp_path / "copy").read_bytes() == path.read_bytes()
            assert (tmp_path / "back" / key).read_bytes() == path.read_bytes()
        for ends in ((url("in"), url("out")), (url("in"), tmp_path / "back")):
            totals = json.loads(run(*ends, "--json").stdout)["totals"]
            assert (totals["up_to_date"], totals["done"]) == (2, 0)

        missing = run("az://no-such/in", tmp_path / "none")
        assert missing.returncode == 3, missing.stderr
        assert "there is no such bucket or container (ContainerNotFound)" in missing.stderr
        for key, words in (("AAAA", "the store refuses"), ("=AAA", "the key for az:// is damaged")):
            monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", key)
            refused = run(url("in"), tmp_path / "none")
            assert refused.returncode == 3
            assert words in refused.stderr
            assert (
                "check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY" in refused.stderr
            )
        assert not (tmp_path / "none").exists()
