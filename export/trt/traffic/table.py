"""Formats engines' memory traffic as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from export.trt.traffic.kernels import ROOFLINES, Traffic


def traffic_table(measured: Mapping[str, Traffic]) -> str:
    """Return two tables: totals per model, and bytes per kind of kernel.

    Args:
        measured: traffic by model name, in display order.
    """
    return "\n".join([*_totals(measured), "", *_kinds(measured)])


def _totals(measured: Mapping[str, Traffic]) -> Iterable[str]:
    yield _row(
        "model",
        "bytes an output pixel",
        "kFLOP",
        "kernels",
        "slices",
        "casts",
        "writing float32",
        "MB a tile",
        *(f"{gpu.name}, MP/s at most (share of its matrix rate)" for gpu in ROOFLINES),
    )
    yield _rule(8 + len(ROOFLINES))
    for name, traffic in measured.items():
        ceilings = [(gpu, traffic.ceiling(gpu)) for gpu in ROOFLINES]
        yield _row(
            name,
            f"{traffic.bytes_per_pixel:,.0f}",
            f"{traffic.flops_per_pixel / 1e3:,.1f}",
            str(len(traffic.kernels)),
            str(sum(kernel.is_slice for kernel in traffic.kernels)),
            str(sum(kernel.is_cast for kernel in traffic.kernels)),
            str(sum(kernel.is_float32 for kernel in traffic.kernels)),
            f"{traffic.activation_bytes / 1e6:.0f}",
            *(
                f"{ceiling / 1e6:,.0f} ({ceiling * traffic.flops_per_pixel / gpu.flops:.0%})"
                for gpu, ceiling in ceilings
            ),
        )


def _kinds(measured: Mapping[str, Traffic]) -> Iterable[str]:
    columns = [_bytes_by_kind(traffic) for traffic in measured.values()]
    kinds = dict.fromkeys(kind for column in columns for kind in column)
    yield _row("kernels, bytes an output pixel", *measured)
    yield _rule(1 + len(columns))
    for kind in sorted(kinds, key=lambda kind: -max(column.get(kind, 0) for column in columns)):
        yield _row(kind, *(f"{column[kind]:,.1f}" if kind in column else "" for column in columns))


def _bytes_by_kind(traffic: Traffic) -> dict[str, float]:
    found: dict[str, float] = {}
    for kernel in traffic.kernels:
        kind = traffic.kind(kernel)
        found[kind] = found.get(kind, 0) + kernel.bytes / traffic.pixels
    return found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return _row("---", *["---:"] * (columns - 1))
