"""The first minutes on a GPU, without TensorRT: three minutes of measurements, then training.

    python -m tests.campaigns.gpu_kit.first prepare CARGO --data DATA     (where there is a network)
    python -m tests.campaigns.gpu_kit.first run CARGO OUTPUT --step 1 --seconds 180     (on the GPU)
    python -m tests.campaigns.gpu_kit.first run CARGO OUTPUT --step 2 --seconds 500

`prepare` cuts the cargo into pieces of 30 MB and says what goes over in which step. Step 1
measures: a unit of the network in its forms, the real device code and slots with PyTorch in
TensorRT's place, a whole dggn-run over them. Step 2 trains, in the form that a trial finds fastest,
until its time is over; OUTPUT then holds a campaign that goes on anywhere. Step 3, for which
`prepare --onnxruntime` brings onnxruntime-gpu, measures that: layouts and searches. `--rehearse`
does all of it on a CPU, tiny. DATA is as `dggn-train campaign` takes it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tests.campaigns.gpu_kit import sessions
from tests.campaigns.gpu_kit.campaign import add_options, run_campaign
from tests.campaigns.gpu_kit.cargo import decompress, pack, unpack
from tests.campaigns.gpu_kit.command import kit_parsers, show
from tests.campaigns.gpu_kit.places import make_photographs, open_device, tiles_of
from tests.campaigns.gpu_kit.stages import Stages
from tests.campaigns.gpu_kit.wheels import PYTHON, packages

Files: TypeAlias = list[tuple[str, Path]]
"""Names in an archive, and files or folders."""

MODEL = "dggn-lite-photo"
TILE_PX, BATCHES = 256, (4, 8)
REHEARSED_PX = 48


def main() -> None:
    """Read the command line."""
    parser, prepared, ran = kit_parsers(__doc__.splitlines()[0])
    prepared.add_argument("--data", type=Path, required=True)
    prepared.add_argument("--onnxruntime", action="store_true", help="make step 3's cargo, too")
    ran.add_argument("--step", type=int, choices=(1, 2, 3), required=True)
    add_options(ran, ("psnr", "lite"))
    options = parser.parse_args()
    if options.command == "prepare":
        prepare(options)
    else:
        run(options)


def prepare(options: argparse.Namespace) -> None:
    """Cut the cargo."""
    begun = time.monotonic()
    data, rehearse = options.data, options.rehearse
    pictures = sorted(path for path in (data / "train").rglob("*") if path.is_file())
    inside = [(f"data/train/{path.relative_to(data / 'train')}", path) for path in pictures]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first = _for_measuring(folder, data, rehearse=rehearse)
        count = _balanced(first, inside)
        steps = {1: first + inside[:count], 2: inside[count:]}
        if options.onnxruntime:
            steps[3] = sessions.cargo(folder / "sessions", PYTHON, rehearse=rehearse)
        for number, files in steps.items():
            pieces = pack(options.cargo, f"first-{number}", files, piece_mb=options.piece_mb)
            print(f"[{time.monotonic() - begun:6.1f} s] step {number} needs:")
            show(pieces)


def _balanced(first: Files, pictures: Files) -> int:
    """Return how many pictures go with the first files, so that both steps weigh the same."""
    weights = [_bytes(path) for _, path in pictures]
    wanted = (sum(weights) - sum(_bytes(path) for _, path in first)) / 2
    return sum(total <= wanted for total in accumulate(weights))


def _bytes(path: Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in inside if one.is_file())


def _for_measuring(folder: Path, data: Path, *, rehearse: bool) -> Files:
    from dggn.model.picture import super_resolve
    from dggn.model.shipped import load

    tiles = tiles_of(REHEARSED_PX if rehearse else TILE_PX, 2 if rehearse else min(BATCHES))
    generator = load(MODEL)
    np.save(folder / "tiles.npy", tiles)
    expected = np.stack([super_resolve(generator, tile) for tile in tiles])
    np.save(folder / "expected.npy", expected)
    files = [(name, folder / name) for name in ("tiles.npy", "expected.npy")]
    files += packages(folder, rehearse=rehearse)
    parts = [part for part in ("val", "perceptual") if (data / part).is_dir()]
    return files + [(f"data/{part}", data / part) for part in parts]


def run(options: argparse.Namespace) -> None:
    """Do one step."""
    work = options.cargo / "unpacked"
    stages = Stages(options.output / f"first-{options.step}.json", options.seconds)
    stages.run("unpack", lambda out: unpack(options.cargo, f"first-{options.step}", work))
    sys.path.append(str(work / "packages"))
    if options.step == 1:
        _measure(stages, work, rehearse=options.rehearse)
    elif options.step == 3:
        sys.path.append(str(work / "sessions" / "unpacker"))
        stages.run("decompress", lambda out: decompress(work))
        sessions.measure(stages, work / "sessions", rehearse=options.rehearse)
    else:
        stages.run("training", partial(run_campaign, options, work, stages.left_s))
    print(options.output)


def _measure(stages: Stages, work: Path, *, rehearse: bool) -> None:
    import torch

    device = torch.device("cpu" if rehearse else "cuda")
    stages.run("machine", partial(_machine, device))
    stages.run("other threads run while one waits", partial(_waiting, rehearse=rehearse))
    setting = _Setting(work, device, rehearse=rehearse)
    for batch in (2,) if rehearse else BATCHES:
        for graphs in (False,) if rehearse else (False, True):
            name = f"slots, batches of {batch}, {'graphs' if graphs else 'no graphs'}"
            stages.run(name, partial(setting.slots, batch, graphs))
    stages.run("dggn-run", setting.command)

    def units(out: dict[str, Any]) -> None:
        from tests.campaigns.gpu_kit.units import rows

        out["rows"] = list(rows(device, tiny=rehearse, left_s=lambda: stages.left_s - 5))

    stages.run("units", units)


def _machine(device: Any, out: dict[str, Any]) -> None:
    import torch

    out |= {"torch": torch.__version__, "cuda": torch.version.cuda, "device": str(device)}
    if device.type == "cuda":
        out["name"] = torch.cuda.get_device_name()
        out["driver"] = _driver()


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _waiting(out: dict[str, Any], *, rehearse: bool) -> None:
    """Count another thread's turns while this one waits for an event of the device."""
    import torch

    device = open_device(rehearse=rehearse)
    turns, done = 0, threading.Event()

    def work() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    with device.active():
        stream, event = device.new_stream(), device.new_event()
        if not rehearse:
            external = torch.cuda.ExternalStream(stream.handle)
            with torch.cuda.stream(external):
                torch.cuda._sleep(400_000_000)  # cycles
        stream.record(event)
        before, begun = turns, time.perf_counter()
        event.wait()
        out["waited_s"] = time.perf_counter() - begun
        out["turns"] = turns - before
        event.free()
        stream.free()
    done.set()
    thread.join()
    device.close()


class _Setting:
    """The model in PyTorch, over the real slots."""

    def __init__(self, work: Path, device: Any, *, rehearse: bool) -> None:
        self._work, self._device, self._rehearse = work, device, rehearse
        self._network: Any = None

    def _open(self, batch: int, graphs: bool) -> Any:
        from dataclasses import replace

        from dggn.model.shipped import load
        from runtime.backends.in_slots import SlotModel, SlotsBackend
        from runtime.backends.onnxruntime import OrtBackend
        from runtime.model.info import model_path
        from tests.campaigns.gpu_kit.torch_execution import TorchExecution, prepared

        with OrtBackend(model_path(MODEL), threads=1, where="cpu") as model:
            info = replace(model.info, sample_type="uint8")
        if self._network is None:
            self._network = prepared(load(MODEL), self._device)
        self._executions: Callable[[int], TorchExecution] = lambda number: TorchExecution(
            self._network, self._device, info
        )
        tile_px = REHEARSED_PX if self._rehearse else TILE_PX
        precision = "float32" if self._rehearse else "float16"
        return SlotsBackend(
            SlotModel(
                path=model_path(MODEL),
                info=info,
                precision=precision,
                tile_px=tile_px,
                batch=batch,
            ),
            self._executions,
            open_device(rehearse=self._rehearse),
            description="PyTorch over slots",
            say=print,
            slots=3,
            graphs=graphs,
        )

    def slots(self, batch: int, graphs: bool, out: dict[str, Any]) -> None:
        """Compare, and time with copies and without."""
        from tests.campaigns.gpu_kit.measure import compare, engine_only, with_copies

        tiles, expected = (
            np.resize(some, (batch, *some.shape[1:]))
            for some in (np.load(self._work / f"{name}.npy") for name in ("tiles", "expected"))
        )
        seconds = 0.01 if self._rehearse else 2.0
        with self._open(batch, graphs) as backend:
            out |= compare(backend, tiles, expected)
            out["with_copies_mp_per_s"] = with_copies(backend, tiles, seconds)
            out |= {f"again_{name}": one for name, one in compare(backend, tiles, expected).items()}
        device = open_device(rehearse=self._rehearse)
        out["engine_only_mp_per_s"] = engine_only(
            device,
            self._executions,
            tiles,
            backend.info.scale,
            slots=3,
            graphs=graphs,
            seconds=seconds,
        )
        device.close()

    def command(self, out: dict[str, Any]) -> None:
        """A whole dggn-run over a folder, as PNG and as JPEG."""
        from runtime.model.info import model_path
        from tests.campaigns.gpu_kit.measure import whole_command

        photographs = make_photographs(self._work / "photographs", rehearse=self._rehearse)
        for kind in ("png", "jpg"):
            for attempt in ("first", "second"):
                out[f"{kind}, {attempt}"] = whole_command(
                    lambda: self._open(2 if self._rehearse else 4, False),
                    model_path(MODEL),
                    photographs,
                    self._work / f"out-{kind}",
                    kind,
                )


if __name__ == "__main__":
    main()
