from __future__ import annotations

import pytest

from runtime.errors import ConfigError
from runtime.jobs.shard import Shard


def test_parsed() -> None:
    assert Shard.parse("0/1") == Shard(0, 1)
    assert Shard.parse("15/16") == Shard(15, 16)
    assert str(Shard.parse("3/16")) == "3/16"


@pytest.mark.parametrize("text", ["", "3", "a/b", "-1/4", "1/4/2", "1 /4", "²/4", "/4", "1/"])
def test_no_shard(text: str) -> None:
    with pytest.raises(ConfigError, match="expected NUMBER/COUNT"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["4/4", "16/16", "0/0", "5/4"])
def test_out_of_range(text: str) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        Shard.parse(text)


def test_every_picture_is_in_exactly_one() -> None:
    names = [f"folder/{number}.png" for number in range(1000)] + ["é.png", "\udcff.png"]
    shards = [Shard(index, 7) for index in range(7)]
    counts = [sum(shard.holds(name) for name in names) for shard in shards]
    assert sum(counts) == len(names)
    assert min(counts) > 100, "about equal"
    assert all(sum(shard.holds(name) for shard in shards) == 1 for name in names)


def test_a_picture_stays_in_its_shard_in_every_version() -> None:
    """Jobs of one array may run different releases, and must not do a picture twice or skip it."""
    found = [
        index
        for name in ("a.png", "sub/b.jpg", "é.png")
        for index in range(16)
        if Shard(index, 16).holds(name)
    ]
    assert found == [8, 8, 11]
