"""The search, with a mixer of known seams and losses."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pytest

from calibration.search.best_mix import Gates, Halos, SearchResult, search
from calibration.search.mix import Mix, Mixer
from calibration.search.place import Layer

LAYERS = [Layer(name=name, nodes=(name,)) for name in "abcdef"]
PRODUCTS = {"a": 10**6, "b": 10**8, "c": 10**14, "d": 10**6, "e": 10**10, "f": 10**6}
BY_WORTH = "cebafd"
"""The order of error for each product, with the losses below."""

LOSS = {"a": 0.01, "b": 0.02, "c": 0.3, "d": 0.05, "e": 0.2, "f": 0.04}


LEAST_PX = 16


class KnownMixer:
    """Adds up known losses; its seams are as wide as the rank of the worst INT8 layer.

    With an overlap of more than `LEAST_PX` seams are `wide_seam` wide.
    """

    def __init__(self, wide_seam: float) -> None:
        self.measured: list[str] = []
        self.wide_seam = wide_seam

    def cost_db(self, layer: Layer) -> float:
        return 60 - 100 * LOSS[layer.name]

    def measure(self, layers: Collection[Layer], halo_px: int) -> Mix:
        self.measured.append("".join(layer.name for layer in layers))
        seam = max((1 + BY_WORTH.index(layer.name) for layer in layers), default=0)
        return Mix(
            layers=tuple(layers),
            psnr_db=30 - sum(LOSS[layer.name] for layer in layers),
            halo_px=halo_px,
            seam_levels=seam if halo_px == LEAST_PX else self.wide_seam,
        )


def outcome(
    max_drop_db: float,
    max_seam_levels: int,
    *,
    exact_px: int | None = None,
    wide_seam: float = 0,
) -> tuple[SearchResult, KnownMixer]:
    mixer = KnownMixer(wide_seam)
    gates = Gates(max_drop_db=max_drop_db, max_seam_levels=max_seam_levels)
    halos = Halos(least_px=LEAST_PX, exact_px=exact_px)
    found = search(cast(Mixer, mixer), LAYERS, PRODUCTS, gates, halos, lambda what, share: None)
    return found, mixer


def names(mix: Mix) -> str:
    return "".join(layer.name for layer in mix.layers)


def test_all_stay_where_the_gates_allow() -> None:
    found, mixer = outcome(1, 6)
    assert names(found.best) == "abcdef"
    assert found.for_seams == found.for_fidelity == ()
    assert mixer.measured == ["", "abcdef"]
    assert found.costs_db["c"] == 30


@pytest.mark.parametrize(
    ("bound", "left"), [(5, "abcef"), (4, "abce"), (3, "bce"), (2, "ce"), (1, "c"), (0, "")]
)
def test_as_few_of_the_least_worthy_leave_as_the_seams_allow(bound: int, left: str) -> None:
    found, mixer = outcome(1, bound)
    assert names(found.best) == left
    assert set(found.for_seams) == set("abcdef") - set(left)
    assert len(mixer.measured) <= 2 + 3


def test_tiles_overlap_by_more_before_layers_leave() -> None:
    found, mixer = outcome(1, 1, exact_px=56)
    assert names(found.best) == "abcdef"
    assert (found.best.halo_px, found.best.seam_levels) == (56, 0)
    assert found.for_seams == ()
    assert mixer.measured == ["", "abcdef", "abcdef"]


def test_a_large_overlap_is_not_taken_where_none_is_needed() -> None:
    found, _ = outcome(1, 6, exact_px=56)
    assert found.best.halo_px == LEAST_PX


def test_layers_leave_where_a_large_overlap_does_not_help() -> None:
    found, _ = outcome(1, 3, exact_px=56, wide_seam=4)
    assert names(found.best) == "bce"
    assert found.best.halo_px == LEAST_PX


def test_the_overlap_stays_when_layers_leave_for_the_fidelity() -> None:
    found, _ = outcome(0.1, 1, exact_px=56)
    assert names(found.best) == "abf"
    assert found.best.halo_px == 56


def test_the_worst_leave_until_the_fidelity_holds() -> None:
    found, _ = outcome(0.1, 6)
    assert found.for_fidelity == ("c", "e", "d")
    assert names(found.best) == "abf"
    assert found.drop_db == pytest.approx(0.07)


def test_both_gates() -> None:
    found, _ = outcome(0.1, 4)
    assert found.for_seams == ("d", "f")
    assert found.for_fidelity == ("c", "e")
    assert names(found.best) == "ab"


def test_nothing_may_be_left() -> None:
    found, _ = outcome(0, 6)
    assert found.best.layers == ()
    assert len(found.for_fidelity) == 6
