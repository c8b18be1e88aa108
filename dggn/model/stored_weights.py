"""Names of a network's weights in exported files.

A parameter has its own name, except those of sibling branches: units keep them in one tensor, and
an exported graph gives every branch a convolution of its own, so that `conv3x3.weight` is stored as
`conv3x3.weight.0` and `conv3x3.weight.1`, cut along the first axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray


def part_name(name: str, number: int) -> str:
    """Return the name of part `number` of a parameter."""
    return f"{name}.{number}"


def stored_names(parameters: Iterable[str], present: Iterable[str]) -> dict[str, list[str]]:
    """Return the names in a file that hold each parameter, whole or in parts.

    Args:
        parameters: names in the network.
        present: names in the file.

    Returns:
        For each parameter that is there, its own name or those of its parts, in order.
    """
    there = set(present)
    found: dict[str, list[str]] = {}
    for name in parameters:
        if name in there:
            found[name] = [name]
            continue
        parts: list[str] = []
        while (part := part_name(name, len(parts))) in there:
            parts.append(part)
        if parts:
            found[name] = parts
    return found


def join_parts(
    names: Mapping[str, list[str]], arrays: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    """Join parameters stored in parts; see :func:`stored_names`.

    Raises:
        ValueError: parts of one parameter do not fit together.
    """
    return {
        name: np.concatenate([arrays[part] for part in parts])
        if len(parts) > 1
        # A scalar cannot be concatenated, and a copy can be written to.
        else arrays[parts[0]].copy()
        for name, parts in names.items()
    }
