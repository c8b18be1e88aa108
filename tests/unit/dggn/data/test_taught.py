from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dggn.data.prepared import ppm_bytes
from dggn.data.taught import (
    Lesson,
    TaughtPair,
    TaughtSet,
    TeachOptions,
    append_pair,
    begin_manifest,
    check_target,
    is_pair_complete,
    pair_paths,
    read_taught,
)
from runtime.errors import ConfigError

PAIR = TaughtPair(name="0001", height=16, width=24, original=True, source="a.png")
TAUGHT = TaughtSet(
    lesson=Lesson(options=TeachOptions(size_px=24), teacher="a" * 64, sources="b" * 64),
    pairs=(PAIR,),
    complete=False,
)


def test_a_set_that_grows_and_ends(tmp_path: Path) -> None:
    assert read_taught(tmp_path) is None
    begin_manifest(tmp_path, TAUGHT)
    second = replace(PAIR, name="0002", original=False, source="drawn")
    append_pair(tmp_path, second)
    assert read_taught(tmp_path) == replace(TAUGHT, pairs=(PAIR, second))
    begin_manifest(tmp_path, replace(TAUGHT, complete=True))
    assert read_taught(tmp_path) == replace(TAUGHT, complete=True)


def test_only_pairs_with_an_original_have_three_files(tmp_path: Path) -> None:
    assert sorted(pair_paths(tmp_path, PAIR)) == ["HR", "LR_x4", "teacher"]
    assert sorted(pair_paths(tmp_path, replace(PAIR, original=False))) == ["LR_x4", "teacher"]


def test_a_pair_is_complete_when_every_file_has_its_length(tmp_path: Path) -> None:
    for kind, path in pair_paths(tmp_path, PAIR).items():
        assert not is_pair_complete(tmp_path, PAIR)
        path.parent.mkdir()
        scale = 1 if kind == "LR_x4" else 4
        path.write_bytes(bytes(ppm_bytes(16 * scale, 24 * scale)))
    assert is_pair_complete(tmp_path, PAIR)
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_pair_complete(tmp_path, PAIR)


@pytest.mark.parametrize(
    ("target", "originals", "said"),
    [
        ("originals", 0, "target is 'originals': choose original or teacher"),
        ("teacher", 1, "expected a share from 0 to below 1"),
        ("original", 0.5, "goes with target 'teacher'"),
    ],
)
def test_targets_that_make_no_sense(target: str, originals: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_target(target, originals)


def test_targets_that_do() -> None:
    for target, originals in (("original", 0.0), ("teacher", 0.0), ("teacher", 0.9)):
        check_target(target, originals)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size_px": 20}, "multiple of 8"),
        ({"unreduced": 0.7, "graphics": 0.6}, "at most 1 together"),
        ({"graphics": -0.1}, "at least 0 each"),
        ({"largest_reduction": 0.5}, "expected 1 to 8"),
    ],
)
def test_options_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TeachOptions(**options)  # type: ignore[arg-type]
