"""Gives concatenated tensors a common range, so that 8-bit concatenation only copies.

ONNX Runtime's QLinearConcat copies bytes where its inputs and its output have one scale, and
looks every value up in a table where they have not. One pass in the graph's order: where two
concatenations share a tensor, the later one widens it, and the earlier one stays with a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration.observe.ranges import Ranges

if TYPE_CHECKING:
    import onnx


def join_ranges(model: onnx.ModelProto, ranges: Ranges) -> Ranges:
    """Widen the ranges around every Concat to the smallest that covers them all.

    Args:
        model: the graph that was observed.
        ranges: ranges of its tensors; not changed. A Concat with a missing range is skipped.
    """
    joined = dict(ranges)
    for node in model.graph.node:
        names = [*node.input, *node.output]
        if node.op_type == "Concat" and all(name in joined for name in names):
            lows, highs = zip(*(joined[name] for name in names), strict=True)
            joined |= dict.fromkeys(names, (min(lows), max(highs)))
    return joined
