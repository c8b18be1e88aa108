"""Single rules; whole files are in test_stale_metadata.py."""

from __future__ import annotations

import pytest

from runtime.codecs.xmp_stale import with_panorama, without_stale

GOOGLE = b'xmlns:G="http://ns.google.com/photos/1.0/camera/"'
PANORAMA = b'xmlns:P="http://ns.google.com/photos/1.0/panorama/"'


def test_attributes_and_elements_go_and_others_stay() -> None:
    packet = (
        b"<r:Description " + GOOGLE + b' G:MotionPhoto="1" G:Kind="sharp">'
        b"<G:MicroVideoOffset>77</G:MicroVideoOffset><G:MotionPhotoX/><G:Other>5</G:Other>"
        b"</r:Description>"
    )
    kept, notes = without_stale(packet)
    assert kept == (
        b"<r:Description " + GOOGLE + b' G:Kind="sharp"><G:Other>5</G:Other></r:Description>'
    )
    (note,) = notes
    assert note.endswith(": G:MotionPhoto, G:MotionPhotoX, G:MicroVideoOffset")


@pytest.mark.parametrize(
    "packet",
    [
        b'<r:Description xmlns:G="http://example.org/" G:MotionPhoto="1"/>',
        b"<r:Description " + GOOGLE + b"><G:MotionPhoto>never closed</r:Description>",
        b"<r:Description " + GOOGLE + b"><G:MotionPhoto",
        b"",
    ],
)
def test_other_namespaces_and_damage_are_left_alone(packet: bytes) -> None:
    assert without_stale(packet) == (packet, [])


def test_a_note_names_four_at_most() -> None:
    names = b" ".join(b'G:MotionPhoto%d="1"' % number for number in range(6))
    _, (note,) = without_stale(b"<r:Description " + GOOGLE + b" " + names + b"/>")
    assert note.count("G:") == 4
    assert note.endswith(" and more")


def test_panoramas_are_scaled_along_each_axis() -> None:
    packet = (
        b"<r:Description " + PANORAMA + b' P:FullPanoWidthPixels="100" P:FullPanoHeightPixels="50"'
        b' P:PoseHeadingDegrees="10"><P:CroppedAreaTopPixels> 3</P:CroppedAreaTopPixels>'
        b"</r:Description>"
    )
    scaled = with_panorama(packet, (4, 2))
    assert b'WidthPixels="400"' in scaled
    assert b'HeightPixels="100"' in scaled
    assert b"> 6</P:CroppedAreaTopPixels>" in scaled
    assert b'Degrees="10"' in scaled
    assert with_panorama(packet.replace(b"google", b"other"), (4, 2)) == packet.replace(
        b"google", b"other"
    )
