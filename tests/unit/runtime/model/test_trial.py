from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import BackendError, ImageError
from runtime.model.tensors import PLAIN, SIGNED
from runtime.model.trial import Trial, ramps
from tests.support.foreign_models import nearest


def test_ramps_pass_through_all_levels() -> None:
    picture = ramps((300, 260))
    assert picture.shape == (300, 260, 3)
    for channel in range(3):
        assert {0, 255} <= set(np.unique(picture[..., channel]))


def test_the_result_is_of_the_range_that_is_asked_for() -> None:
    fed: list[NDArray[Any]] = []

    def network(batch: NDArray[Any]) -> NDArray[Any]:
        fed.append(batch)
        return batch

    trial = Trial(network, PLAIN)
    for takes, ends in ((None, (0, 1)), (SIGNED, SIGNED)):
        trial.result((9, 9), takes)
        assert (fed[-1].min(), fed[-1].max()) == ends


def test_the_scale_is_found() -> None:
    assert Trial(lambda batch: nearest(3, 1, batch), PLAIN).scale((16, 20)) == 3


def test_a_result_that_is_no_enlarged_picture() -> None:
    trial = Trial(lambda batch: batch[:, :2], PLAIN)
    assert trial.scale((16, 20)) == 0
    assert trial.reason == "it makes [1, 2, 16, 20] of [1, 3, 16, 20]"


@pytest.mark.parametrize("error", [BackendError, ImageError])
def test_a_model_that_fails(error: type[Exception]) -> None:
    def network(batch: NDArray[Any]) -> NDArray[Any]:
        raise error("no memory")

    trial = Trial(network, PLAIN)
    assert trial.result((16, 16)) is None
    assert trial.scale((16, 16)) == 0
    assert trial.reason == "no memory"
