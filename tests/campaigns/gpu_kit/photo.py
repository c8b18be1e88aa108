"""The model for photographs on a borrowed GPU: taught sets are made there, then a campaign runs.

    python -m tests.campaigns.gpu_kit.photo prepare CARGO --data DATA --teacher FILE
    python -m tests.campaigns.gpu_kit.photo run CARGO OUTPUT --seconds 540 --start dggn-photo

`prepare` cuts the photographs and the teacher's weights into pieces of 30 MB; `run` comes with the
last. DATA is as `dggn-train campaign photo` takes it, but with photographs to learn from in
`train/`; FILE is Real-ESRGAN x4plus as safetensors. OUTPUT then holds a campaign that goes on
anywhere; with another `--seed`, it goes on with other pairs. `--rehearse` does all of it on a CPU,
tiny.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.campaigns.gpu_kit.campaign import add_options, run_campaign
from tests.campaigns.gpu_kit.cargo import pack, unpack
from tests.campaigns.gpu_kit.command import kit_parsers, show
from tests.campaigns.gpu_kit.stages import Stages
from tests.campaigns.gpu_kit.wheels import packages

NAME = "photo"
TEACHER = "teacher.safetensors"
SIZE_PX, REHEARSED_PX = 96, 24


def main() -> None:
    """Read the command line."""
    parser, prepared, ran = kit_parsers(__doc__.splitlines()[0])
    prepared.add_argument("--data", type=Path, required=True)
    prepared.add_argument("--teacher", type=Path, required=True)
    ran.add_argument("--pairs", type=int, default=4000, help="to make first [4000]")
    ran.add_argument("--seed", type=int, default=0, help="of the pairs [0]")
    ran.add_argument("--processes", type=int, default=os.cpu_count(), help="[all cores]")
    add_options(ran, ("photo", "photo-gan"))
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options)
    else:
        run(options)


def prepare(options: argparse.Namespace) -> None:
    """Cut the cargo."""
    parts = ("train", "val", "perceptual", "metrics")
    files = [(f"data/{part}", options.data / part) for part in parts]
    files = [(name, path) for name, path in files if path.is_dir()]
    with tempfile.TemporaryDirectory() as folder:
        files += packages(Path(folder), rehearse=options.rehearse)
        files.append((TEACHER, options.teacher))
        show(pack(options.cargo, NAME, files, piece_mb=options.piece_mb))


def run(options: argparse.Namespace) -> None:
    """Make the pairs, and train until the time is over."""
    work = options.cargo / "unpacked"
    stages = Stages(options.output / f"{NAME}.json", options.seconds)
    stages.run("unpack", lambda out: unpack(options.cargo, NAME, work))
    stages.run("teaching", partial(_teach, options, work))
    stages.run("training", partial(run_campaign, options, work, stages.left_s))
    print(options.output)


def _teach(options: argparse.Namespace, work: Path, out: dict[str, Any]) -> None:
    from tests.campaigns.gpu_kit.teaching import make_sets

    out["pairs"] = make_sets(
        work / "data" / "train",
        work / "data" / "taught",
        work / TEACHER,
        pairs=options.pairs,
        size_px=REHEARSED_PX if options.rehearse else SIZE_PX,
        processes=options.processes,
        seed=options.seed,
        device="cpu" if options.rehearse else "cuda",
    )


if __name__ == "__main__":
    main()
