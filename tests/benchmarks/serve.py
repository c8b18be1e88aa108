"""Measures `dggn-serve` under many clients, against `dggn-run` on the same pictures.

    python tests/benchmarks/serve.py PHOTOGRAPHS [--requests 320] [--clients 64]

Cuts pictures of mixed sizes from photographs. `dggn-run` upscales them as a folder; then clients on
loopback send each of them several times to a server, compare every answer with the command's file
byte for byte, and come again where they are told to. Prints throughput and the ratio, the
server's memory after the first hundred requests and at the end, and the times of previews of
256x256 px when nothing else is at work, beside one tile of that size through the bare backend.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from runtime.system.cores import usable_cores
from runtime.upscaler import Upscaler

SIZES_PX = (32, 64, 96, 128, 160, 200, 256, 320)
"""Longer sides; the others are three quarters of them."""
KINDS = ("png", "jpg", "webp")
HANGS_S = 600
PREVIEWS = 15
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def cut(source: Path, folder: Path, count: int) -> list[Path]:
    """Pictures of mixed sizes and formats, from the middles of photographs."""
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    if not paths:
        raise SystemExit(f"{source} holds no photographs: expected .jpg or .png")
    made = []
    for number in range(count):
        with Image.open(paths[number % len(paths)]) as opened:
            image = opened.convert("RGB")
        width = SIZES_PX[number % len(SIZES_PX)]
        height = 3 * width // 4
        left, top = max(0, (image.width - width) // 2), max(0, (image.height - height) // 2)
        target = folder / f"{number:03}.{KINDS[number % len(KINDS)]}"
        image.crop((left, top, left + width, top + height)).save(target)
        made.append(target)
    return made


class Took(NamedTuple):
    """Wall and CPU time of some work."""

    wall_s: float
    processor_s: float
    """On whatever cores; on a busy machine it says more than the wall time."""

    def less(self, other: Took) -> Took:
        """Return the difference."""
        return Took(self.wall_s - other.wall_s, self.processor_s - other.processor_s)


def command(folder: Path, output: Path, backend: str) -> Took:
    """Run `dggn-run` on a folder."""
    words = [sys.executable, "-c", "from runtime.cli import app; app()"]
    words += [str(folder), str(output), "--backend", backend, "--format", "png", "--quiet"]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True)
    wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(wall_s, processor_s)


def upscaling(folder: Path, output: Path, backend: str) -> Took:
    """Time of `dggn-run` for a folder, minus its time for a folder of one small picture."""
    with tempfile.TemporaryDirectory() as name:
        one = min(folder.iterdir(), key=lambda path: path.stat().st_size)
        alone = Path(name) / "in"
        alone.mkdir()
        (alone / one.name).write_bytes(one.read_bytes())
        command(alone, Path(name) / "first", backend)  # compiles if necessary
        start = command(alone, Path(name) / "out", backend)
    return command(folder, output, backend).less(start)


@contextmanager
def server(backend: str) -> Iterator[tuple[int, int]]:
    """A server's process and port."""
    command = [sys.executable, "-c", "from runtime.serve.cli import app; app()"]
    options = ["--port", "0", "--backend", backend]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            for line in process.stderr:
                if found := ADDRESS.search(line):
                    yield process.pid, int(found[1])
                    break
            else:
                raise SystemExit("the server did not start")
        finally:
            process.terminate()


def resident_bytes(pid: int) -> int:
    """Memory of a process, on Linux."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor_s(pid: int) -> float:
    """Processor time of a process so far, on Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(port: int, body: bytes, query: str = "format=png") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_S)
    try:
        connection.request("POST", f"/upscale?{query}", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Clients:
    """Many clients that share a list of requests."""

    def __init__(self, port: int, pid: int, expected: dict[bytes, bytes], requests: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.memory: list[int] = []
        """After each answer."""
        bodies = list(expected)
        self._expected, self._port, self._pid = expected, port, pid
        self._waiting = deque(bodies[number % len(bodies)] for number in range(requests))
        self._guard = threading.Lock()

    def run(self, clients: int) -> float:
        """Return the seconds until all requests are answered."""
        threads = [threading.Thread(target=self._client) for _ in range(clients)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    def _client(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    return
                body = self._waiting.popleft()
            status, answer = ask(self._port, body)
            while status == 503:
                with self._guard:
                    self.outcomes["refused, and came again"] += 1
                time.sleep(1)
                status, answer = ask(self._port, body)
            right = status == 200 and answer == self._expected[body]
            with self._guard:
                self.outcomes["right" if right else f"wrong ({status})"] += 1
                self.memory.append(resident_bytes(self._pid))


def previews_s(port: int, photograph: Path, backend: str) -> tuple[list[float], list[float]]:
    """Time previews through the server, and the same picture without it."""
    with Image.open(photograph) as opened:
        image = opened.convert("RGB").resize((256, 256))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "part.png"
        image.save(path)
        body = path.read_bytes()
    with Upscaler(backend=backend) as upscaler:  # type: ignore[arg-type]
        served, bare = [], []
        for _ in range(PREVIEWS):
            begin = time.perf_counter()
            status, _ = ask(port, body, "format=jpg")
            served.append(time.perf_counter() - begin)
            assert status == 200
            begin = time.perf_counter()
            upscaler(np.asarray(image))
            bare.append(time.perf_counter() - begin)
    return served[1:], bare[1:]  # without the first, which initializes libraries


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--requests", type=int, default=320)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--backend", default="openvino")
    arguments = parser.parse_args()
    backend = arguments.backend
    with tempfile.TemporaryDirectory() as name:
        folder, output = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        paths = cut(arguments.photographs, folder, arguments.pictures)
        runs = [upscaling(folder, output, backend)]
        results = {path.stem: path for path in output.iterdir()}
        expected = {path.read_bytes(): results[path.stem].read_bytes() for path in paths}
        with server(backend) as (pid, port):
            for body in expected:  # each shape once, to initialize the libraries
                ask(port, body)
            clients = Clients(port, pid, expected, arguments.requests)
            before_s = processor_s(pid)
            wall_s = clients.run(arguments.clients)
            took = Took(wall_s, processor_s(pid) - before_s)
            runs.append(upscaling(folder, Path(name) / "again", backend))
            served, bare = previews_s(port, paths[-1], backend)
    rounds = arguments.requests / len(paths)
    alone = [statistics.mean(values) for values in zip(*runs, strict=True)]
    wall, processor = (rounds * one / many for one, many in zip(alone, took, strict=True))
    early, late = (
        statistics.mean(part) / 1e6 for part in (clients.memory[100:150], clients.memory[-50:])
    )
    names = ("numpy", "openvino", "pillow", "starlette", "uvicorn")
    print(f"{usable_cores()} cores, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(
        f"{arguments.clients} clients, {arguments.requests} requests, {len(paths)} pictures of ",
        end="",
    )
    print(f"{min(SIZES_PX)} to {max(SIZES_PX)} px, {backend}")
    print()
    rows = (
        ("answers", dict(clients.outcomes), "none wrong"),
        ("server, s of wall and of processor", [round(one, 1) for one in took], ""),
        (
            "dggn-run for the same, before it and after it",
            [[round(rounds * one, 1) for one in run] for run in runs],
            "",
        ),
        ("throughput to dggn-run's, by wall time", f"{wall:.2f}", "0.9"),
        ("the same by processor time", f"{processor:.2f}", ""),
        ("memory after 100 requests, at the end", f"{early:.0f}, {late:.0f} MB", "5 %"),
        ("preview of 256x256 px", f"{statistics.median(served):.2f} s", "0.7 s"),
        ("the same from Python", f"{statistics.median(bare):.2f} s", ""),
    )
    print("| | measured | goal |")
    print("| --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
