from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="needs the calibrate extra")

from onnx import helper

from calibration.observe.join_ranges import join_ranges


def test_what_is_concatenated_gets_one_range() -> None:
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["ab"], axis=1),
        helper.make_node("Concat", ["c", "unseen"], ["d"], axis=1),
        helper.make_node("LeakyRelu", ["ab"], ["e"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    ranges = {"a": (-1.0, 2.0), "b": (-3.0, 1.0), "ab": (-2.0, 1.5), "c": (0.0, 1.0)}
    ranges |= {"d": (0.0, 2.0), "e": (0.0, 9.0)}
    before = dict(ranges)
    joined = join_ranges(model, ranges)
    assert {joined[name] for name in ("a", "b", "ab")} == {(-3.0, 2.0)}
    assert {name: joined[name] for name in "cde"} == {name: before[name] for name in "cde"}
    assert ranges == before
