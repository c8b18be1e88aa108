"""The second fifteen minutes on a GPU: TensorRT 8.5.3, which needs no network to be installed.

    python -m tests.campaigns.gpu_kit.second prepare CARGO --wheel tensorrt-8.5.3.1-cp310-....whl
        --python PREFIX                                               (where there is a network)
    python -m tests.campaigns.gpu_kit.second run CARGO OUTPUT --seconds 500          (on the GPU)

PREFIX is an installed Python 3.10. `prepare` makes the graphs and the float32 model's results, and
cuts all that the other machine lacks into pieces of 30 MB: they go over in as many calls as it
takes, `run` comes with the last. It measures dggn-lite-photo at 128 px first, then the flagship and
ESRGAN's structure: correctness, engine only, with copies, the whole command, graphs off and on.
`--rehearse` does all of it on a CPU, ONNX Runtime in TensorRT's place.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.gpu_kit.cargo import (
    ARCHIVED,
    UNPACKER,
    archived,
    compress,
    decompress,
    pack,
    unpack,
)
from tests.campaigns.gpu_kit.command import kit_parsers, show
from tests.campaigns.gpu_kit.stand_in import PLUGINS, make_stand_in

ROOT = Path(__file__).parents[3]
PYTHON = "3.10"
PACKAGES = ("numpy>=2,<2.3", "pillow>=11.1", "rich>=13.8", "typer>=0.19", "isal", "cuda-bindings")
PYTHON_THERE = "3.12"
"""The other machine's own, which unpacks the cargo."""

AS_THEY_ARE = ("tensorrt", "unpacker")
"""Parts that are no archives: what is unpacked first, and what is compressed file by file."""

LARGE_BYTES = 1 << 20


def main() -> None:
    """Read the command line."""
    parser, prepared, _ = kit_parsers(__doc__.splitlines()[0])
    prepared.add_argument("--wheel", type=Path, help="of TensorRT 8.5.3.1, for Python 3.10")
    prepared.add_argument("--python", type=Path, metavar="PREFIX", help="of a Python 3.10")
    options = parser.parse_args()
    if options.command == "run":
        run(options)
        return
    if not options.rehearse and not (options.wheel and options.python):
        parser.error("prepare needs --wheel and --python")
    prepare(options)


def prepare(options: argparse.Namespace) -> None:
    """Cut the cargo. Parts of an earlier call are kept, all but the graphs."""
    from tests.campaigns.gpu_kit.graphs import make_graphs
    from tests.campaigns.gpu_kit.other_python import copy_python
    from tests.campaigns.gpu_kit.wheels import download

    makers: dict[str, Callable[[Path], None]] = {
        "graphs": lambda target: make_graphs(target, rehearse=options.rehearse)
    }
    if not options.rehearse:
        makers |= {
            "python": lambda target: copy_python(options.python, PYTHON, target),
            "packages": lambda target: download(PACKAGES, PYTHON, target),
            "tensorrt": lambda target: _tensorrt(options.wheel, target),
            "unpacker": lambda target: download([UNPACKER], PYTHON_THERE, target, alone=True),
        }
    parts = options.cargo / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    (parts / f"graphs{ARCHIVED}").unlink(missing_ok=True)
    for name, make in makers.items():
        begun = time.monotonic()
        part = parts / (name if name in AS_THEY_ARE else f"{name}{ARCHIVED}")
        if not part.exists():
            with tempfile.TemporaryDirectory(dir=options.cargo) as folder:
                made = Path(folder) / name
                make(made)
                (made if part.name == name else archived(made)).rename(part)
        print(f"[{time.monotonic() - begun:6.1f} s] {name}", flush=True)
    begun = time.monotonic()
    files = [(path.name, path) for path in sorted(parts.iterdir())]
    pieces = pack(options.cargo, "second", files, piece_mb=options.piece_mb)
    print(f"[{time.monotonic() - begun:6.1f} s] {len(pieces)} pieces")
    show(pieces)


def _tensorrt(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith("tensorrt/")]
        archive.extractall(target, [name for name in inside if not name.endswith(PLUGINS)])
    make_stand_in(target / "tensorrt")
    for path in target.rglob("*.so*"):
        if path.stat().st_size > LARGE_BYTES:
            compress(path)


def run(options: argparse.Namespace) -> None:
    """Unpack with this Python, and measure with the one that came along."""
    begun = time.monotonic()
    work = (options.cargo / "unpacked").resolve()
    unpack(options.cargo, "second", work)
    print(f"[{time.monotonic() - begun:6.1f} s] unpacked", flush=True)
    sys.path.append(str(work / "unpacker"))
    decompress(work)
    print(f"[{time.monotonic() - begun:6.1f} s] decompressed", flush=True)
    left_s = options.seconds - (time.monotonic() - begun)
    arguments = ["-m", "tests.campaigns.gpu_kit.engines", str(work), str(options.output.resolve())]
    arguments += ["--seconds", f"{left_s:.0f}", *(["--rehearse"] if options.rehearse else [])]
    python, environment = [sys.executable], dict(os.environ)
    if not options.rehearse:
        libraries = [work / "python/lib", work / "tensorrt/tensorrt"]
        python = [str(work / "python/bin" / f"python{PYTHON}")]
        paths = [ROOT, work / "packages", work / "tensorrt"]
        environment |= {
            "PYTHONHOME": str(work / "python"),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            "DGGN_CACHE": str(work / "cache"),
        }
    try:
        # A build cannot be interrupted: what was found before it is in OUTPUT already.
        code = subprocess.run(
            [*python, *arguments],
            cwd=ROOT,
            env=environment,
            timeout=max(1, left_s + 10),
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        print("the time is over")
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()
