from __future__ import annotations

import numpy as np
import pytest

from dggn.model.stored_weights import join_parts, part_name, stored_names


def test_parameters_are_found_whole_and_in_parts() -> None:
    present = ["a", "b.0", "b.1", "b.2", "c.1", "d.0.weight"]
    assert stored_names(["a", "b", "c", "d", "e"], present) == {
        "a": ["a"],
        "b": ["b.0", "b.1", "b.2"],
    }


def test_parts_are_joined_along_the_first_axis() -> None:
    whole = np.arange(24.0).reshape(4, 3, 2)
    parts = {part_name("w", number): part for number, part in enumerate(np.split(whole, 2))}
    joined = join_parts(
        stored_names(["w", "s"], [*parts, "s"]), {**parts, "s": np.array(3, np.float32)}
    )
    assert np.array_equal(joined["w"], whole)
    assert joined["s"] == 3


def test_parts_of_other_shapes_do_not_fit() -> None:
    with pytest.raises(ValueError, match="dimension"):
        join_parts({"w": ["w.0", "w.1"]}, {"w.0": np.zeros((2, 3)), "w.1": np.zeros((2, 4))})
