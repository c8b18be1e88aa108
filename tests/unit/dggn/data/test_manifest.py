from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dggn.data.manifest import append_record, read_records, write_records
from runtime.errors import ConfigError, TargetError

FORMAT = "things-1"


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], bool] | None:
    return read_records(path, FORMAT, lambda *parts: parts, remedy="make them again")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "things.jsonl"
    write_records(path, FORMAT, {"size": 3}, [{"name": "a"}], complete=False)
    return path


def test_what_is_written_and_appended_is_read(path: Path) -> None:
    append_record(path, {"name": "b", "é": None})
    assert read(path) == ({"size": 3}, [{"name": "a"}, {"name": "b", "é": None}], False)
    write_records(path, FORMAT, {}, [{"name": "b"}], complete=True)
    assert read(path) == ({}, [{"name": "b"}], True)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_are_the_same_text_under_every_locale(
    path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode(encoding, "surrogateescape"))
    monkeypatch.setattr(os, "fsdecode", lambda name: name.decode(encoding, "surrogateescape"))
    name = "é.png".encode().decode(encoding, "surrogateescape")
    record = {"name": name, "parts": [{"name": name}]}
    append_record(path, record)
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["name"] == "é.png"
    assert read(path) == ({"size": 3}, [{"name": "a"}, record], False)


def test_a_set_may_be_complete_and_empty(path: Path) -> None:
    write_records(path, FORMAT, {}, [], complete=True)
    assert read(path) == ({}, [], True)


def test_no_manifest_is_no_error(path: Path) -> None:
    assert read(path.with_name("others.jsonl")) is None


@pytest.mark.parametrize("torn", ['{"na', '{"name": "b"}'])
def test_a_last_line_without_its_end_does_not_count(path: Path, torn: str) -> None:
    with path.open("a") as file:
        file.write(torn)
    assert read(path) == ({"size": 3}, [{"name": "a"}], False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not enough values"),
        ("[]\n", "things.jsonl is damaged"),
        ('{"size": 3}\n', "'format'"),
        ('{"format": "things-2"}\n', "its format is 'things-2': expected 'things-1'"),
        ('{"format": "things-1"}\n{"na\n{}\n', "Unterminated string"),
        ("\xff", "codec can't decode"),
    ],
)
def test_damage_is_named_with_the_remedy(path: Path, text: str, said: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(caught.value).endswith(": make them again")


def test_what_the_records_cannot_be_is_damage_too(path: Path) -> None:
    def build(*parts: object) -> None:
        raise ConfigError("no such setting")

    with pytest.raises(ConfigError, match=r"things\.jsonl is damaged .*no such setting.*again"):
        read_records(path, FORMAT, build, remedy="make them again")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "things.jsonl"
    with pytest.raises(TargetError, match=r"things\.jsonl cannot be written"):
        append_record(path, {})
