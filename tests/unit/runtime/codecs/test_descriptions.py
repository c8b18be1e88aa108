from __future__ import annotations

import pytest

from runtime.codecs.descriptions import (
    IMAGEJ_NOTE,
    OME_NOTE,
    SHAPE_NOTE,
    description_for,
    is_measured,
)

OME = (
    '<OME><Image><Pixels Type="uint8" SizeX="30" SizeY=\'20\' PhysicalSizeX="0.5" '
    'PhysicalSizeY="1e-1" SizeZ="1"/></Image></OME>'
)


def test_ome_states_the_results_size_and_type() -> None:
    text, notes = description_for(OME, (4, 3), bits=16, is_complete=True)
    assert text == (
        '<OME><Image><Pixels Type="uint16" SizeX="120" SizeY=\'60\' PhysicalSizeX="0.125" '
        'PhysicalSizeY="0.0333333333333" SizeZ="1"/></Image></OME>'
    )
    assert not notes


def test_a_length_that_is_no_number_stays() -> None:
    odd = OME.replace("0.5", "1e-e")
    text, _ = description_for(odd, (4, 3), bits=8, is_complete=True)
    assert text is not None
    assert 'PhysicalSizeX="1e-e"' in text


@pytest.mark.parametrize(
    ("text", "is_complete", "kept", "notes"),
    [
        (OME, False, None, [OME_NOTE]),
        ("ImageJ=1.53\nimages=2", True, "ImageJ=1.53\nimages=2", []),
        ("ImageJ=1.53\nimages=2", False, None, [IMAGEJ_NOTE]),
        ('{"shape": [20, 30]}', True, None, [SHAPE_NOTE]),
        ("A sunset", False, "A sunset", []),
    ],
)
def test_what_is_kept(text: str, is_complete: bool, kept: str | None, notes: list[str]) -> None:
    assert description_for(text, (4, 4), bits=8, is_complete=is_complete) == (kept, notes)


def test_only_microscopes_state_measures() -> None:
    assert is_measured(OME)
    assert is_measured('<?xml version="1.0"?><x:OME xmlns:x="...">')
    assert is_measured("ImageJ=1.53")
    assert not is_measured("SOME TEXT with <COMETS>")
