"""Requests and their responses."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="needs the serve extra")

from tests.support.hostile_files import data
from tests.support.processes import wait_until
from tests.support.serve_bench import Bench, file_of, noise, served

RGB = noise(20, 30)
PICTURE = file_of(RGB)


def form(*parts: tuple[str, bytes], boundary: str = "xx") -> tuple[bytes, str]:
    """A form, and its content type."""
    body = b""
    for disposition, content in parts:
        body += f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
        body += content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_a_picture_comes_back_larger(bench: Bench) -> None:
    answer = bench.ask("/upscale", PICTURE)
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'attachment; filename="upscaled.png"'
    np.testing.assert_array_equal(np.asarray(answer.image), RGB.repeat(2, 0).repeat(2, 1))
    wait_until(bench.is_idle)
    assert not bench.rooms, "nothing of it is kept"


@pytest.mark.parametrize(
    ("query", "size", "kind"),
    [
        ("scale=1.5", (45, 30), "PNG"),
        ("width=15&format=jpg&quality=50", (15, 10), "JPEG"),
        ("max_size=24&format=webp", (24, 16), "WEBP"),
        ("scale=4&second_pass=true&format=tiff", (120, 80), "TIFF"),
        ("format=gif", (60, 40), "GIF"),
    ],
)
def test_size_and_format(bench: Bench, query: str, size: tuple[int, int], kind: str) -> None:
    image = bench.ask(f"/upscale?{query}", PICTURE).image
    assert (image.size, image.format) == (size, kind)


@pytest.mark.parametrize(
    ("form_name", "suffix"),
    [("JPEG", "jpg"), ("WEBP", "webp"), ("TIFF", "tiff"), ("BMP", "bmp"), ("GIF", "gif")],
)
def test_the_format_is_the_contents(bench: Bench, form_name: str, suffix: str) -> None:
    # curl declares every body a form.
    kind = "application/x-www-form-urlencoded"
    answer = bench.ask("/upscale", data(form_name), Content_Type=kind)
    assert answer.status == 200
    assert answer.headers["content-disposition"].endswith(f'.{suffix}"')


def test_what_the_command_keeps_is_kept(bench: Bench) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a caption"
    exif[0x0112] = 6
    answer = bench.ask("/upscale", file_of(RGB, "JPEG", exif=exif.tobytes()))
    image = answer.image
    assert image.size == (40, 60), "upright"
    assert image.getexif()[0x010E] == "a caption"
    deep = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)
    buffer = file_of(np.asarray(deep))
    assert bench.ask("/upscale", buffer).image.mode == "I;16"
    clear = file_of(np.dstack([RGB, RGB[..., 0]]))
    assert bench.ask("/upscale", clear).image.mode == "RGBA"
    (note,) = json.loads(bench.ask("/upscale?format=jpg", clear).headers["dggn-notes"])
    assert note.startswith("alpha was flattened onto white")


def test_a_form_brings_the_picture_and_its_parameters(bench: Bench) -> None:
    body, kind = form(('name="scale"', b"1"), ('name="picture"; filename="../../a.png"', PICTURE))
    answer = bench.ask("/upscale?format=webp", body, Content_Type=kind)
    assert answer.status == 200
    assert (answer.image.size, answer.image.format) == ((30, 20), "WEBP")
    # Folders of answered requests vanish meanwhile, which os.walk tolerates.
    assert not [folder for folder, _, names in os.walk(bench.folder) if "a.png" in names]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([('name="scale"', b"1")], "no picture"),
        ([('name="a"; filename="a"', PICTURE), ('name="b"; filename="b"', PICTURE)], "form"),
        ([('name="a"; filename="a"', b"")], "no picture"),
        ([('name="a"; filename="a"', PICTURE), ('name="scael"', b"1")], "unknown parameter"),
        ([('name="a"; filename="a"', PICTURE), ('name="scale"', b"1" * 5000)], "form"),
        ([('name="a"; filename="a"', PICTURE)] + [('name="scale"', b"1")] * 30, "form"),
    ],
)
def test_odd_forms_are_refused(bench: Bench, parts: list[tuple[str, bytes]], words: str) -> None:
    body, kind = form(*parts)
    answer = bench.ask("/upscale", body, Content_Type=kind)
    assert answer.status == 400
    assert words in answer.json["error"]
    wait_until(bench.is_idle)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (PICTURE, "multipart/form-data"),
        (PICTURE, "multipart/form-data; boundary=x"),
        (b"--x\r\nno header\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (
            b"--x\r\nContent-Disposition: form-data; filename=a\r\n\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_damaged_forms_are_refused(bench: Bench, body: bytes, kind: str) -> None:
    answer = bench.ask("/upscale", body, Content_Type=kind)
    assert answer.status == 400
    wait_until(bench.is_idle)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/upscale", b"", 400, "no picture"),
        ("/upscale?scale=9", PICTURE, 400, "scale is 9, but the model enlarges 2 times"),
        ("/upscale?scale=x", PICTURE, 400, "scale is 'x'"),
        ("/upscale?scale=2&width=9", PICTURE, 400, "exclude each other"),
        ("/upscale?width=2000", PICTURE, 422, "choose a smaller width"),
        ("/upscale", b"%PDF-1.7", 415, "PDF"),
        ("/upscale", PICTURE[:200], 422, "damaged"),
        ("/upscale", file_of(np.zeros((201, 200, 3), np.uint8)), 413, "40,000"),
        ("/upscale", bytes(200_001), 413, "0.2 MB"),
        ("/view?scale=2", PICTURE, 400, "expected none"),
        ("/view", b"%PDF-1.7", 415, "PDF"),
    ],
)
def test_each_refusal_says_why(
    bench: Bench, path: str, body: bytes, status: int, words: str
) -> None:
    answer = bench.ask(path, body)
    assert answer.headers["content-type"] == "application/json"
    assert (answer.status, words in answer.json["error"]) == (status, True), answer.json
    assert bench.backend.taken == [], "before any work"
    wait_until(bench.is_idle)


def test_a_body_that_does_not_say_its_length_is_limited_too(bench: Bench) -> None:
    connection = bench.connect()
    try:
        pieces = iter([bytes(150_000)] * 2)
        connection.request("POST", "/upscale", pieces, encode_chunked=True)
        assert connection.getresponse().status == 413
    finally:
        connection.close()
    wait_until(bench.is_idle)


def test_the_browser_is_shown_what_it_cannot_read(bench: Bench) -> None:
    answer = bench.ask("/view", file_of(RGB, "TIFF"))
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(np.asarray(answer.image), RGB)


def test_unknown_paths_and_methods(bench: Bench) -> None:
    for path in ("/..%2f..%2fetc/passwd", "/page", "//upscale", "/upscale/", "/page/page.js"):
        answer = bench.ask(path)
        assert (answer.status, list(answer.json)) == (404, ["error"])
    answer = bench.ask("/upscale", method="DELETE")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert list(answer.json) == ["error"]


def test_the_page_and_all_that_it_names(bench: Bench) -> None:
    page = bench.ask("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("page.css", "slider.css", "page.js", "picture.js", "zip.js", "info"):
        answer = bench.ask("/" + name)
        assert answer.status == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "'unsafe" not in answer.headers["content-security-policy"]


def test_with_a_token_only_the_page_is_open() -> None:
    token = "0123456789abcdef"
    with served(token=token) as bench:
        for path in ("/info", "/metrics", "/progress?id=" + "a" * 16):
            assert bench.ask(path).status == 401
        for path in ("/", "/page.js", "/healthz", "/readyz", "/openapi.json"):
            assert bench.ask(path).status == 200
        refused = bench.ask("/upscale", PICTURE)
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert bench.ask("/upscale", PICTURE, Authorization=f"Bearer {token}").status == 200
