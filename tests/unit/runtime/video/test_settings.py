from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.video.settings import VideoSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [({"crf": -1}, "--crf is -1"), ({"crf": 64}, "--crf is 64"), ({"codec": ""}, "--video-codec")],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VideoSettings(**values)
