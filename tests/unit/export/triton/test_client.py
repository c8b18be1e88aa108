from __future__ import annotations

import ast
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from export.triton import client
from export.triton.client import axis_spans


@given(
    size=st.integers(1, 400),
    multiple=st.sampled_from([1, 4, 8]),
    overlap=st.integers(0, 4),
    more=st.integers(1, 8),
)
def test_tiles_partition_an_axis(size: int, multiple: int, overlap: int, more: int) -> None:
    overlap *= multiple
    tile = 2 * overlap + more * multiple
    spans = axis_spans(size, tile, overlap, multiple)
    assert [span[2] for span in spans] == [0, *(span[3] for span in spans[:-1])]
    assert spans[-1][3] == size
    for start, stop, keep, until in spans:
        assert start % multiple == 0
        assert start <= keep < until <= stop <= size
        assert stop - start <= tile
        # Context on each side, except at the picture's border.
        assert keep - start >= overlap or start == keep == 0
        assert stop - until >= overlap or stop == until == size


def test_it_needs_nothing_of_this_project() -> None:
    names = set()
    for node in ast.walk(ast.parse(Path(str(client.__file__)).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    assert names - sys.stdlib_module_names == {"numpy", "PIL", "tritonclient"}
