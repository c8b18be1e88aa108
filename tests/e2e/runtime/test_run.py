"""`dggn-run` as users run it: in its own process, with the shipped model."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

from tests.support.dggn_run import command, files, make, run, statuses
from tests.support.processes import posix_only, run_on_terminal
from tests.support.processes import run as run_command


def test_a_tree_is_upscaled_resumed_and_redone_where_needed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(photos, out)
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert files(out) == {"a.png", "b.jpg", "sub/c.webp"}
    for name in files(out):
        with Image.open(out / name) as image:
            assert image.size == (96, 80)
    assert "on the CPU" in first.stderr
    assert "1 hidden, 1 not a picture" in first.stderr
    assert "a.png: 24x20 -> 96x80" in first.stderr
    assert "3 upscaled" in first.stderr

    make(photos / "b.jpg", (30, 20))
    (out / "sub/c.webp").unlink()
    second = run(photos, out, "--json", "--quiet")
    assert second.returncode == 0, second.stderr
    assert second.stderr == ""
    report = json.loads(second.stdout)
    assert report["precision"] in ("bfloat16", "float32")
    assert statuses(report) == {"a.png": "skipped", "b.jpg": "done", "sub/c.webp": "done"}
    assert report["totals"]["up_to_date"] == 1
    with Image.open(out / "b.jpg") as image:
        assert image.size == (120, 80)

    third = run(photos, out, "--json", "--quality", "80", "--scale", "2", "--overwrite")
    report = json.loads(third.stdout)
    assert set(statuses(report).values()) == {"done"}
    assert report["settings"]["quality"] == 80
    assert [file["target_size_hw"] for file in report["files"] if file["name"] == "a.png"] == [
        [40, 48]
    ]
    fourth = run(photos, out, "--quality", "80", "--scale", "2")
    assert "3 up to date" in fourth.stderr


def test_a_changed_setting_redoes_everything(photos: Path, tmp_path: Path) -> None:
    assert run(photos, tmp_path / "out").returncode == 0
    result = run(photos, tmp_path / "out", "--max-size", "50")
    assert "3 upscaled" in result.stderr
    with Image.open(tmp_path / "out/a.png") as image:
        assert max(image.size) == 50


def test_one_bad_file_does_not_stop_the_rest(photos: Path, tmp_path: Path) -> None:
    data = (photos / "a.png").read_bytes()
    (photos / "torn.png").write_bytes(data[: len(data) // 2])
    (photos / "empty.jpg").write_bytes(b"")
    result = run(photos, tmp_path / "out", "--json")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert files(tmp_path / "out") == {"a.png", "b.jpg", "sub/c.webp"}
    failed = {file["name"]: file["message"] for file in report["files"] if file["message"]}
    assert set(failed) == {"torn.png", "empty.jpg"}
    assert "the file is empty" in failed["empty.jpg"]
    assert report["totals"]["done"] == 3
    assert report["totals"]["failed"] == 2
    ignored = {"hidden": 1, "other": 1, "clips": 0, "links": 0, "system": 0}
    assert report["totals"]["ignored"] == ignored
    assert report["error"] is None
    assert "torn.png: FAILED" in result.stderr
    assert "Traceback" not in result.stderr


@posix_only
def test_a_closed_standard_output(tmp_path: Path) -> None:
    source = make(tmp_path / "a.png")
    words = shlex.join([*command(source, tmp_path / "out", "--json")])
    result = run_command(["sh", "-c", f"{words} >&-"])
    assert result.returncode == 3
    assert "standard output is closed" in result.stderr
    assert "Traceback" not in result.stderr
    assert files(tmp_path / "out") == {"a.png"}


def test_a_dry_run_into_a_file_of_a_legacy_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "in/\u732b.png")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    result = run(tmp_path / "in", tmp_path / "out", "--dry-run")
    assert (result.returncode, result.stderr.count("Traceback")) == (0, 0)
    assert "\\u732b.png: 24x20 -> 96x80" in result.stdout


def test_the_result_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    source = make(tmp_path / "a.jpg", exif=exif)
    assert run(source, tmp_path / "out").returncode == 0
    with Image.open(tmp_path / "out/a.jpg") as image:
        assert image.size == (80, 96)
        assert image.getexif().get(0x0112, 1) == 1


def test_a_closed_standard_error_is_no_error(tmp_path: Path) -> None:
    picture = make(tmp_path / "a.png")
    result = run(picture, tmp_path / "out", "--json", first="import sys; sys.stderr = None\n")
    assert result.returncode == 0
    assert statuses(json.loads(result.stdout)) == {"a.png": "done"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [["--json"], ["--dry-run"], ["--dry-run", "--json"]])
def test_a_full_standard_output(tmp_path: Path, options: list[str]) -> None:
    picture = make(tmp_path / "a.png")
    with Path("/dev/full").open("w") as full:
        result = run_command(
            command(picture, tmp_path / "out", *options),
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert result.returncode == 3
    assert "standard output cannot be written: No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


@posix_only
def test_nothing_is_reported_to_anybody(photos: Path, tmp_path: Path) -> None:
    """ONNX Runtime would, and would complain about a read-only home."""
    environment = {**os.environ, "HOME": os.devnull}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI"):
        environment.pop(name, None)
    quiet = command(photos, tmp_path / "out", "--quiet")
    result = run_command(quiet, env=environment)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_bare_install_says_what_to_install(photos: Path, tmp_path: Path) -> None:
    bare = "import sys; sys.modules['onnxruntime'] = sys.modules['openvino'] = None"
    result = run(photos, tmp_path / "out", first=bare)
    assert result.returncode == 3
    assert "pip install 'dggn[cpu]'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("missing", "out"), 2, "missing does not exist"),
        (("", "out"), 2, "is empty"),
        (("in", ""), 2, "is empty"),
        (("in", "in"), 2, "is INPUT"),
        (("in", "in/sub/out"), 2, "lies inside INPUT"),
        (("in/a.png", "in"), 2, "would replace the source"),
        (("none", "out"), 2, "no pictures in none; ignored: 1 not a picture"),
        (("in", "out", "--format", "bmp"), 2, "bmp"),
        (("in", "out", "--scale", "5"), 2, "enlarges 4 times"),
        (("in", "out", "--scale", "nan"), 2, "scale is nan"),
        (("in", "out", "--scale", "2", "--width", "9"), 2, "--scale and --width exclude"),
        (("in", "out", "--second-pass"), 2, "set the size with"),
        (("in", "out", "--model", "absent"), 2, "absent is neither"),
        (("in", "out", "--tile", "3"), 2, "til"),
        (("in", "out", "--unknown"), 2, "--unknown"),
        (("in", "file"), 3, "file is not a folder"),
        (("in", "file/out"), 3, "file is not a folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none/notes.txt").write_text("not a picture")
    (tmp_path / "file").write_text("not a folder")
    before = sorted(path for path in tmp_path.rglob("*"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), *sys.path]))
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(path for path in tmp_path.rglob("*")) == before, "nothing is left behind"


@posix_only
def test_a_full_disk_ends_the_run_with_one_error(tmp_path: Path) -> None:
    make(tmp_path / "in/a.png", (4, 4))
    make(tmp_path / "in/b.png", (60, 60))
    first = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
    result = run(tmp_path / "in", tmp_path / "out", "--json", first=first)
    assert result.returncode == 3, result.stderr
    assert "File too large" in json.loads(result.stdout)["error"]
    assert result.stderr.count("cannot write") == 1
    assert "Traceback" not in result.stderr
    assert files(tmp_path / "out") <= {"a.png"}


@posix_only
def test_a_bar_on_a_terminal(photos: Path, tmp_path: Path) -> None:
    code, text = run_on_terminal(
        command(photos, tmp_path / "out"),
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    assert code == 0
    for part in ("/3 images", "MP/s", "left", "sub/c.webp", "3 upscaled"):
        assert part in text
    assert "a.png: 24x20" not in text, "the bar counts, nothing scrolls by"


def test_a_dry_run_writes_nothing(photos: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run(photos, tmp_path / "out", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "a.png: 24x20 -> 96x80, into" in result.stdout
    assert "3 to upscale: 0.0 megapixels in, 0.0 out, about" in result.stdout
    report = json.loads(run(photos, tmp_path / "out", "--dry-run", "--json", "--quiet").stdout)
    assert set(statuses(report).values()) == {"planned"}
    assert report["estimate"]["output_megapixels"] == pytest.approx(3 * 96 * 80 / 1e6)
    assert sorted(tmp_path.rglob("*")) == before
    page = tmp_path / "report.html"
    assert run(photos, tmp_path / "out", "--dry-run", "--report", page).returncode == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_report_to_look_at(photos: Path, tmp_path: Path) -> None:
    (photos / "torn.png").write_bytes(b"")
    page = tmp_path / "report.html"
    result = run(photos, tmp_path / "out", "--report", page)
    assert result.returncode == 1
    text = page.read_text(encoding="utf-8")
    assert text.count('type="range"') == 3
    assert "the file is empty" in text
    assert run(photos, tmp_path / "out", "--report", photos / "a.png").returncode == 2
    assert run(photos, tmp_path / "out", "--report", tmp_path / "none/r.html").returncode == 3


def test_16_bits_frames_and_pages_go_all_the_way(tmp_path: Path) -> None:
    from runtime.codecs.decode import decode
    from runtime.codecs.encode import encode
    from runtime.codecs.output import OutputSettings
    from runtime.image.picture import Picture

    folder = tmp_path / "in"
    folder.mkdir()
    # A ramp so gentle that 8 bits hold it in seven steps.
    ramp = np.linspace(20000, 21800, 24 * 20).reshape(20, 24, 1).repeat(3, axis=2)
    deep = Picture(rgb_hwc=ramp.astype(np.uint16))
    for suffix in (".png", ".tiff"):
        encode(deep, folder / f"deep{suffix}", OutputSettings())
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "lime", "blue")]
    for name in ("a.gif", "a.webp", "a.tif"):
        frames[0].save(
            folder / name, save_all=True, append_images=frames[1:], duration=[50, 70, 90]
        )
    # With the model that keeps every level: the one for photographs smooths.
    result = run("--model", "dggn-lite", folder, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    for suffix in (".png", ".tiff"):
        large = decode(tmp_path / f"out/deep{suffix}").rgb_hwc
        assert large.dtype == np.uint16
        assert len(np.unique(large)) > 300
        # Reduced again, it is the ramp, to a hundredth of an 8-bit level.
        small = large.reshape(20, 4, 24, 4, 3).mean(axis=(1, 3))
        assert np.abs(small - ramp)[4:-4, 4:-4].mean() < 257
    for name in ("a.gif", "a.webp", "a.tif"):
        picture = decode(tmp_path / "out" / name)
        assert picture.size_hw == (48, 64)
        pages = [page.rgb_hwc[24, 32].astype(int) for page in (picture, *picture.more)]
        for found, wanted in zip(pages, [(255, 0, 0), (0, 255, 0), (0, 0, 255)], strict=True):
            assert np.abs(found - wanted).max() < 30
        if name != "a.tif":
            assert [page.duration_ms for page in (picture, *picture.more)] == [50, 70, 90]
    assert "a.gif: 16x12 -> 64x48" in result.stderr
    assert "3 frames or pages" in result.stderr


@pytest.mark.parametrize("amount", ["0", "nan", "inf"])
def test_senseless_memory_is_refused(tmp_path: Path, amount: str) -> None:
    result = run(tmp_path, tmp_path / "out", "--memory", amount)
    assert result.returncode == 2
    assert "--memory" in result.stderr
