from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.errors import TargetError
from runtime.video.segments import Packet, Segment, SegmentStore


def segment(first: int = 0) -> Segment:
    packets = [
        Packet(frame=frame, is_key=frame == 0, data=bytes([frame]) * (frame + 1))
        for frame in (0, 2, 1)
    ]
    return Segment(stamps=[first, first + 7, first + 9], last_duration=4, packets=packets)


def test_a_segment_survives_its_file() -> None:
    assert Segment.from_bytes(segment().as_bytes()) == segment()
    assert segment().order == [0, 2, 1]


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_changed_file_is_noticed(place: int) -> None:
    content = bytearray(segment().as_bytes())
    content[place] ^= 0x11
    with pytest.raises((ValueError, KeyError)):
        Segment.from_bytes(bytes(content))


def test_a_store_goes_on_where_it_ended(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path / "x.mp4", "a")
    assert (store.count, store.frames, store.end) == (0, 0, 0)
    store.add(segment())
    store.add(segment(20))
    again = SegmentStore(tmp_path / "x.mp4", "a")
    assert (again.count, again.frames, again.end) == (2, 6, 33)
    assert list(again) == [segment(), segment(20)]
    assert [head.stamps for head in again.heads()] == [[0, 7, 9], [20, 27, 29]]
    again.remove()
    assert not list(tmp_path.iterdir())


def test_other_fingerprints_and_targets_begin_anew(tmp_path: Path) -> None:
    SegmentStore(tmp_path / "x.mp4", "a").add(segment())
    assert SegmentStore(tmp_path / "y.mp4", "a").count == 0
    assert SegmentStore(tmp_path / "x.mp4", "a", read_only=True).count == 1
    assert SegmentStore(tmp_path / "x.mp4", "b", read_only=True).count == 0
    assert SegmentStore(tmp_path / "x.mp4", "a").count == 1
    assert SegmentStore(tmp_path / "x.mp4", "b").count == 0
    assert SegmentStore(tmp_path / "x.mp4", "a").count == 0


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert SegmentStore(tmp_path / "x.mp4", "a", read_only=True).frames == 0
    assert not list(tmp_path.iterdir())


def test_old_segments_that_cannot_be_removed_are_never_taken_for_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SegmentStore(tmp_path / "x.mp4", "a").add(segment())

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refuse)
        with pytest.raises(TargetError, match="cannot remove .*Permission denied"):
            SegmentStore(tmp_path / "x.mp4", "b")
    assert SegmentStore(tmp_path / "x.mp4", "b", read_only=True).count == 0


def test_a_torn_segment_ends_what_can_be_used(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path / "x.mp4", "a")
    for first in (0, 20, 40):
        store.add(segment(first))
    torn = sorted(tmp_path.glob("*/*.segment"))[1]
    torn.write_bytes(torn.read_bytes()[:-2])
    assert SegmentStore(tmp_path / "x.mp4", "a").count == 1
