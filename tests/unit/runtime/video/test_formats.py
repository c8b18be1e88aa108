from __future__ import annotations

from pathlib import Path

import pytest

from runtime.codecs.formats import READABLE_SUFFIXES
from runtime.video.formats import CLIP_SUFFIXES, clip_suffix, is_clip, is_writable


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.mp4", ".mp4"), ("a.MOV", ".MOV"), ("a.mkv", ".mkv"), ("a.webm", ".webm"),
     ("a.avi", ".mkv"), ("a.MTS", ".mkv"), ("a.mpg", ".mkv")],
)  # fmt: skip
def test_results_have_the_container_of_the_source_or_matroska(name: str, suffix: str) -> None:
    assert is_clip(Path(name))
    assert clip_suffix(Path(name)) == suffix
    assert is_writable(Path(f"x{suffix}"))


def test_no_file_is_both_a_picture_and_a_clip() -> None:
    assert not CLIP_SUFFIXES & READABLE_SUFFIXES
    assert not is_clip(Path("a.gif"))
