from __future__ import annotations

import pytest

from runtime.errors import ConfigError
from runtime.stores.url import StoreUrl


def parsed(text: str) -> StoreUrl:
    url = StoreUrl.parse(text)
    assert url is not None
    return url


@pytest.mark.parametrize("text", ["photos", "/a/b.png", "C:/photos", "./s3:"])
def test_paths_are_no_urls(text: str) -> None:
    assert StoreUrl.parse(text) is None


def test_parts() -> None:
    url = parsed("S3://bucket/a b/c.png")
    assert (url.scheme, url.bucket, url.key, url.is_folder) == ("s3", "bucket", "a b/c.png", False)
    assert str(url) == "s3://bucket/a b/c.png"
    assert str(url.name) == "c.png"
    assert parsed("gs://b").is_folder
    assert parsed("az://b/").is_folder
    assert parsed("s3://b/c/") == StoreUrl("s3", "b", "c", is_folder=True)


def test_children() -> None:
    assert str(parsed("s3://b").child("x/y.png")) == "s3://b/x/y.png"
    assert str(parsed("s3://b/c/").child("y.png")) == "s3://b/c/y.png"


def test_what_lies_in_what() -> None:
    assert parsed("s3://b/c").holds(parsed("s3://b/c/"))
    assert parsed("s3://b").holds(parsed("s3://b/c"))
    assert parsed("s3://b/c").holds(parsed("s3://b/c/d"))
    assert not parsed("s3://b/c").holds(parsed("s3://b/cd"))
    assert not parsed("s3://b/c").holds(parsed("s3://b"))
    assert not parsed("s3://b/c").holds(parsed("gs://b/c"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://host/x", "not in a supported store"),
        ("s3://", "not a URL in a store"),
        ("s3:///x", "not a URL in a store"),
        ("s3://b/x//y", "not a URL in a store"),
        ("s3://key:secret@b/x", "holds credentials"),
    ],
)
def test_urls_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        StoreUrl.parse(text)
    assert "secret" not in str(caught.value)
