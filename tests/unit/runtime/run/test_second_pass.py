from __future__ import annotations

import numpy as np

from runtime.image.picture import Picture
from runtime.image.strip_source import PictureReader
from runtime.run.second_pass import EnlargedReader, enlarged_header, two_pass_progress
from tests.support.images import picture_of
from tests.support.pipeline_bench import NearestUpscaler


def test_the_first_pass_is_read_as_a_picture_of_its_own() -> None:
    picture = picture_of("rgb")
    expected = picture.rgb_hwc.repeat(4, axis=0).repeat(4, axis=1)
    reader = EnlargedReader(NearestUpscaler(), PictureReader(picture), 4)
    height = reader.header.size_hw[0]
    assert reader.header.size_hw == expected.shape[:2]
    # Overlapping, as for tiles with context, and skipping some.
    for start, stop in ((0, 5), (3, 20), (19, 19 + 1), (40, height)):
        assert np.array_equal(reader.rows(start, stop).rgb_hwc, expected[start:stop])
    assert np.array_equal(reader.again().rows(0, 3).rgb_hwc, expected[:3])


def test_only_what_is_asked_for_is_computed() -> None:
    strips: list[Picture] = []
    upscaler = NearestUpscaler(before=strips.append)
    reader = EnlargedReader(upscaler, PictureReader(picture_of("rgb")), 4)
    reader.rows(0, 9)
    assert len(strips) == 2  # of two source rows each


def test_the_header_keeps_the_kind() -> None:
    header = enlarged_header(picture_of("grey-alpha-16"), 3)
    assert header.size_hw == (72, 120)
    assert header.is_grey
    assert header.alpha_hw is not None
    assert header.rgb_hwc.dtype == np.uint16


def test_progress_runs_once_from_0_to_1() -> None:
    shares: list[float] = []
    first, second = two_pass_progress(shares.append, 4)
    for report in (first, second):
        for share in (0.5, 1.0):
            report(share)
    assert shares == sorted(shares)
    assert shares[1] == 1 / 17
    assert shares[-1] == 1
