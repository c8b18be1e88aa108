"""The command line that all kits share: `prepare CARGO` where there is a network, then `run`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.gpu_kit.cargo import PIECE_MB


def kit_parsers(
    description: str,
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return a kit's parser, and those of `prepare` and `run` with what all kits have."""
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    prepared, ran = (commands.add_parser(name) for name in ("prepare", "run"))
    for one in (prepared, ran):
        one.add_argument("cargo", type=Path)
        one.add_argument("--rehearse", action="store_true", help="on a CPU, tiny")
    prepared.add_argument(
        "--piece-mb", type=float, default=PIECE_MB, help=f"largest piece [{PIECE_MB}]"
    )
    ran.add_argument("output", type=Path)
    ran.add_argument("--seconds", type=float, required=True, help="until it ends")
    return parser, prepared, ran


def show(pieces: Sequence[Path]) -> None:
    """Print the cargo's pieces with their sizes."""
    for piece in pieces:
        print(f"  {piece}  {piece.stat().st_size / 1e6:.1f} MB")
