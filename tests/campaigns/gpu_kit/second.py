"""The second fifteen minutes on a GPU: TensorRT 8.5.3, which needs no network to be installed.

    python -m tests.campaigns.gpu_kit.second prepare CARGO --wheel tensorrt-8.5.3.1-cp310-....whl
        --python PREFIX [--model dggn.onnx]                           (where there is a network)
    python -m tests.campaigns.gpu_kit.second run CARGO OUTPUT --seconds 500          (on the GPU)

PREFIX is an installed Python 3.10. `prepare` makes the graphs and the float32 model's results, and
cuts all that the other machine lacks into pieces under 57 MB: they go over in as many calls as it
takes, `run` comes with the last. It measures dggn-lite-photo at 128 px first, then the flagship and
ESRGAN's structure: correctness, engine only, with copies, the whole command, graphs off and on.
`--rehearse` does all of it on a CPU, ONNX Runtime in TensorRT's place.
"""

from __future__ import annotations

import argparse
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.gpu_kit.cargo import pack, unpack

ROOT = Path(__file__).parents[3]
PYTHON = "3.10"
PACKAGES = ("numpy>=2,<2.3", "pillow>=11.1", "rich>=13.8", "typer>=0.19", "isal", "cuda-bindings")
COMPRESSED = ".xz"
ARCHIVED = ("python", "packages")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepared = commands.add_parser("prepare")
    prepared.add_argument("cargo", type=Path)
    prepared.add_argument("--wheel", type=Path, help="of TensorRT 8.5.3.1, for Python 3.10")
    prepared.add_argument("--python", type=Path, metavar="PREFIX", help="of a Python 3.10")
    prepared.add_argument("--model", type=Path, help="the flagship's ONNX file [untrained]")
    prepared.add_argument("--preset", type=int, default=6, help="xz's effort [6]")
    prepared.add_argument("--rehearse", action="store_true")
    ran = commands.add_parser("run")
    ran.add_argument("cargo", type=Path)
    ran.add_argument("output", type=Path)
    ran.add_argument("--seconds", type=float, required=True)
    ran.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    if options.command == "run":
        run(options)
        return
    if not options.rehearse and not (options.wheel and options.python):
        parser.error("prepare needs --wheel and --python")
    prepare(options)


def prepare(options: argparse.Namespace) -> None:
    """Cut the cargo."""
    from tests.campaigns.gpu_kit.graphs import make_graphs

    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_graphs(folder / "graphs", options.model, rehearse=options.rehearse)
        print(f"[{time.monotonic() - begun:6.1f} s] graphs and results", flush=True)
        parts = ["graphs"]
        if not options.rehearse:
            from tests.campaigns.gpu_kit.other_python import copy_python
            from tests.campaigns.gpu_kit.wheels import download

            copy_python(options.python, PYTHON, folder / "python")
            download(PACKAGES, PYTHON, folder / "packages")
            parts += [archived(folder, part) for part in ARCHIVED]
            print(f"[{time.monotonic() - begun:6.1f} s] Python and packages", flush=True)
            _prepare_tensorrt(options.wheel, folder / "tensorrt", options.preset)
            print(f"[{time.monotonic() - begun:6.1f} s] TensorRT", flush=True)
            parts.append("tensorrt")
        pieces = pack(options.cargo, "second", [(part, folder / part) for part in parts])
    for piece in pieces:
        print(f"  {piece}  {piece.stat().st_size / 1e6:.1f} MB")


def archived(folder: Path, part: str) -> str:
    """Compress a folder of many files; the archive's name."""
    return Path(shutil.make_archive(str(folder / part), "xztar", folder, part)).name


def _prepare_tensorrt(wheel: Path, target: Path, preset: int) -> None:
    from tests.campaigns.gpu_kit.stand_ins import make_stand_ins

    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith("tensorrt/")]
        archive.extractall(target, inside)
    make_stand_ins(target / "tensorrt" / "libnvinfer_plugin.so.8", target / "stand-ins")
    large = [path for path in target.rglob("*.so*") if path.stat().st_size > 1 << 20]

    def compress(path: Path) -> None:
        compressed = path.with_name(path.name + COMPRESSED)
        with path.open("rb") as source, lzma.open(compressed, "wb", preset=preset) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        path.unlink()

    with ThreadPoolExecutor() as pool:
        list(pool.map(compress, large))


def decompress(folder: Path) -> None:
    """Decompress archives in a folder and all files below it, several at a time."""
    for archive in list(folder.glob("*.tar.xz")):
        shutil.unpack_archive(archive, folder, filter="data")
        archive.unlink()

    def one(path: Path) -> None:
        with lzma.open(path) as source, path.with_suffix("").open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        path.unlink()

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, folder.rglob(f"*{COMPRESSED}")))


def run(options: argparse.Namespace) -> None:
    """Unpack with this Python, and measure with the one that came along."""
    begun = time.monotonic()
    work = (options.cargo / "unpacked").resolve()
    unpack(options.cargo, "second", work)
    print(f"[{time.monotonic() - begun:6.1f} s] unpacked", flush=True)
    decompress(work)
    print(f"[{time.monotonic() - begun:6.1f} s] decompressed", flush=True)
    left_s = options.seconds - (time.monotonic() - begun)
    arguments = ["-m", "tests.campaigns.gpu_kit.engines", str(work), str(options.output.resolve())]
    arguments += ["--seconds", f"{left_s:.0f}", *(["--rehearse"] if options.rehearse else [])]
    python, environment = [sys.executable], dict(os.environ)
    if not options.rehearse:
        libraries = [work / "python/lib", work / "tensorrt/tensorrt", work / "tensorrt/stand-ins"]
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
