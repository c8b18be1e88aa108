from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import ModelError
from runtime.model.sample_range import RANGES
from runtime.model.tensors import BYTES, PLAIN, SIGNED, UNIT, Range
from tests.support.foreign_models import facts_of, nearest


def bending(takes: Range, gives: Range, batch: NDArray[Any]) -> NDArray[Any]:
    """A network that bends colours, but keeps the ends of its own range."""
    (low, high), (least, most) = takes, gives
    signed = (batch.astype(np.float32) - low) / (high - low) * 2 - 1
    bent = np.tanh(signed) / np.tanh(1)
    return nearest(2, 1, (bent + 1) / 2 * (most - least) + least)


@pytest.mark.parametrize(
    ("takes", "gives"),
    [(UNIT, UNIT), (BYTES, BYTES), (SIGNED, SIGNED), (UNIT, SIGNED), (UNIT, BYTES), (BYTES, UNIT)],
)
def test_the_range_is_found(takes: Range, gives: Range) -> None:
    tensors = facts_of(lambda batch: bending(takes, gives, batch)).tensors
    assert (tensors.takes, tensors.gives) == (takes, gives)


@pytest.mark.parametrize(("centre", "expected"), [(127.5, BYTES), (0.5, UNIT), (0.0, SIGNED)])
def test_the_range_of_a_network_that_bends(centre: float, expected: Range) -> None:
    """As `foreign-model-range`: tanh around the middle of the range, not exact anywhere."""
    factor = centre or 1.0

    def bend(batch: NDArray[Any]) -> NDArray[Any]:
        return nearest(4, 1, np.tanh((batch - centre) / factor) * factor + centre)

    tensors = facts_of(bend).tensors
    assert (tensors.takes, tensors.gives) == (expected, expected)


def test_a_network_of_any_range_is_taken_for_the_usual_one() -> None:
    assert facts_of(lambda batch: nearest(4, 1, batch)).tensors == PLAIN


def limited(takes: Range, gives: Range, batch: NDArray[Any]) -> NDArray[Any]:
    """A network that limits its results, as most do."""
    (low, high), (least, most) = takes, gives
    share = np.clip((batch.astype(np.float32) - low) / (high - low), 0, 1)
    return nearest(2, 1, share * (most - least) + least)


@pytest.mark.parametrize("gives", RANGES)
@pytest.mark.parametrize("takes", RANGES)
def test_the_range_of_a_network_that_limits_its_results(takes: Range, gives: Range) -> None:
    tensors = facts_of(lambda batch: limited(takes, gives, batch)).tensors
    assert (tensors.takes, tensors.gives) == (takes, gives)


def test_the_range_of_a_network_that_fits_the_usual_one_less_well() -> None:
    """Two levels of offset in [0, 1] are nothing in [0, 255]."""
    tensors = facts_of(lambda batch: nearest(2, 1, batch + np.float32(0.008))).tensors
    assert (tensors.takes, tensors.gives) == (BYTES, BYTES)


MEAN, DEVIATION = (
    np.array(values, np.float32).reshape(1, 3, 1, 1)
    for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


@pytest.mark.parametrize(
    "network",
    [
        lambda batch: np.clip(batch * DEVIATION + MEAN, 0, 1),
        lambda batch: 255 * (batch * DEVIATION + MEAN),
        lambda batch: np.clip(batch * 0.25 + 0.5, 0, 1),
        lambda batch: np.clip(batch + 127.5, 0, 255),
        lambda batch: np.clip(batch + 255 * MEAN, 0, 255),
        lambda batch: np.clip(batch * 1.6 - 0.3, 0, 1),
        lambda batch: 1023 * batch,
    ],
)
def test_samples_normalized_in_another_way_are_refused(network: Any) -> None:
    with pytest.raises(ModelError, match=r"in none of the ranges .* a part of the model"):
        facts_of(lambda batch: nearest(2, 1, network(batch)))


def test_exchanged_channels_are_refused() -> None:
    with pytest.raises(ModelError, match="its results have red and blue exchanged"):
        facts_of(lambda batch: nearest(2, 1, np.clip(batch[:, ::-1], 0, 1)))


@pytest.mark.parametrize("network", [np.zeros_like, lambda batch: 1 - batch, np.square])
def test_what_resembles_nothing_is_refused(network: Any) -> None:
    with pytest.raises(ModelError, match=r"m\.onnx takes RGB .*in none of the ranges"):
        facts_of(lambda batch: nearest(2, 1, network(network(batch) * 0 + 0.3 - batch * 0.5)))
