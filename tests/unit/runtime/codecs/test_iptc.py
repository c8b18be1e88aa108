from __future__ import annotations

import struct
from pathlib import Path

from PIL import Image

from runtime.codecs.iptc import IPTC_TAG, jpeg_segment, read_iptc
from runtime.codecs.limits import quiet_pillow

IPTC = b"\x1c\x02\x78\x00\x05Hello"


def resource(number: int, content: bytes, name: bytes = b"\0\0") -> bytes:
    padding = bytes(len(content) % 2)
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + name
        + struct.pack(">I", len(content))
        + (content + padding)
    )


def with_segment(path: Path, segment: bytes) -> Image.Image:
    Image.new("RGB", (8, 8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:2] + segment + data[2:])
    return Image.open(path)


def photoshop(*resources: bytes) -> bytes:
    content = b"Photoshop 3.0\0" + b"".join(resources)
    return b"\xff\xed" + struct.pack(">H", 2 + len(content)) + content


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for iptc in (IPTC, IPTC + b"\x1c\x02\x19\x00\x01x"):  # of odd and even length
        segment = jpeg_segment(iptc)
        assert segment is not None
        with with_segment(tmp_path / "a.jpg", segment) as image:
            assert read_iptc(image) == (iptc, [])


def test_a_segment_has_room_for_64_kib(tmp_path: Path) -> None:
    room = 65_533 - len(b"Photoshop 3.0\0") - 12
    room -= room % 2
    assert jpeg_segment(b"\x1c" * room) is not None
    assert jpeg_segment(b"\x1c" * (room + 2)) is None


def test_records_are_found_among_other_resources(tmp_path: Path) -> None:
    others = resource(1006, b"one"), resource(2000, b"path", name=b"\x03abc")
    with with_segment(tmp_path / "a.jpg", photoshop(*others, resource(1028, IPTC))) as image:
        assert read_iptc(image) == (IPTC, ["dropped: Photoshop's paths"])


def test_torn_resources_and_what_is_no_record_are_nothing(tmp_path: Path) -> None:
    torn = photoshop(resource(1006, b"one"), b"8BIM\x04\x04\0\0\0")
    with with_segment(tmp_path / "a.jpg", torn) as image:
        assert read_iptc(image) == (None, [])
    with with_segment(tmp_path / "b.jpg", photoshop(resource(1028, b"no record"))) as image:
        assert read_iptc(image) == (None, [])


def test_tiff_has_a_tag_for_it_also_as_long_integers(tmp_path: Path) -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    iptc = IPTC + bytes(2)
    tags = ImageFileDirectory_v2()
    tags.tagtype[IPTC_TAG] = 7  # undefined: bytes
    tags[IPTC_TAG] = iptc
    path = tmp_path / "a.tiff"
    Image.new("RGB", (8, 8)).save(path, tiffinfo=tags)
    as_bytes, as_long = struct.pack("<HHI", IPTC_TAG, 7, 12), struct.pack("<HHI", IPTC_TAG, 4, 3)
    for kind in (as_bytes, as_long):
        path.write_bytes(path.read_bytes().replace(as_bytes, kind))
        with quiet_pillow(), Image.open(path) as image:
            assert read_iptc(image) == (iptc, [])
