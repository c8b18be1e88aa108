"""Rules for the source files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("dggn", "export", "runtime", "calibration", "tests")
MOST_LINES = 500
MOST_TEST_LINES = 400

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    most = MOST_TEST_LINES if path.is_relative_to(ROOT / "tests") else MOST_LINES
    assert lines <= most, f"{path.name} has {lines} lines: split it"


def test_no_file_collects_leftovers() -> None:
    assert not [path for path in SOURCES if path.stem in ("utils", "helpers", "misc", "common")]


ROOMS = ("dggn", "export", "runtime", "calibration")
KINDS = ("unit", "property", "golden", "e2e")
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.BoolOp, ast.comprehension)

TESTED_BY = {
    # Both CUDA packages run against a driver in memory, in a process of their own.
    "runtime/backends/cuda/bindings_device.py": "unit/runtime/backends/cuda/test_open.py",
    "runtime/backends/cuda/pycuda_device.py": "unit/runtime/backends/cuda/test_open.py",
    "runtime/backends/in_slots.py": "unit/runtime/backends/test_ort_slots.py",
    # TIFF pages are tested as files, which takes all parts of the reader.
    "runtime/codecs/tiff_layout.py": "unit/runtime/codecs/test_tiff_samples.py",
    "runtime/codecs/tiff_source.py": "unit/runtime/codecs/test_tiff_pages.py",
    "runtime/codecs/tiff_places.py": "unit/runtime/codecs/test_stale_metadata.py",
    "runtime/jobs/result.py": "unit/runtime/report/test_summary.py",
    # Videos are tested from file to file.
    "runtime/run/clip_plan.py": "unit/runtime/run/test_clip_refusals.py",
    "runtime/run/make_clip.py": "unit/runtime/run/test_clip_results.py",
    "runtime/video/segment_encoder.py": "unit/runtime/run/test_clip_frames.py",
    "runtime/video/facts.py": "unit/runtime/run/test_clip_refusals.py",
    "runtime/video/library.py": "unit/runtime/run/test_clip_refusals.py",
    "runtime/video/mux.py": "unit/runtime/run/test_clip_results.py",
    "runtime/video/readback.py": "unit/runtime/run/test_clip_results.py",
    "runtime/video/reader.py": "unit/runtime/run/test_clip_frames.py",
    # The server is tested through its application, with requests.
    "runtime/serve/answer.py": "unit/runtime/serve/test_app.py",
    "runtime/serve/cli.py": "e2e/runtime/test_serve.py",
    "runtime/serve/openapi.py": "unit/runtime/serve/test_app.py",
    "runtime/serve/upload.py": "unit/runtime/serve/test_app.py",
    "runtime/serve/work.py": "unit/runtime/serve/test_service.py",
    # A cluster's parts are tested together.
    "runtime/cluster/hire.py": "unit/runtime/cluster/test_share.py",
    "runtime/cluster/worker.py": "unit/runtime/cluster/test_share.py",
    "runtime/run/ends.py": "unit/runtime/run/test_batch.py",
    "runtime/run/options.py": "unit/runtime/run/test_batch.py",
    "runtime/run/workers.py": "unit/runtime/run/test_batch.py",
    "runtime/tiles/strips.py": "property/runtime/run/test_in_strips.py",
    "export/cli.py": "e2e/test_export.py",
    "calibration/search/mix.py": "unit/calibration/test_calibrate.py",
    "dggn/data/sheet.py": "unit/dggn/data/test_graphics.py",
    "dggn/training/campaign/command.py": "e2e/test_campaign.py",
}
"""Modules whose tests have another name, and where those are."""


def namesakes(module: Path) -> list[Path]:
    name = module.relative_to(ROOT).with_name(f"test_{module.name}")
    paths = [ROOT / "tests" / kind / name for kind in KINDS]
    return [path for path in paths if path.exists()]


@pytest.mark.parametrize(
    "module",
    [path for room in ROOMS for path in sorted((ROOT / room).rglob("[!_]*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_modules_with_logic_have_a_test_of_their_name(module: Path) -> None:
    name = module.relative_to(ROOT).as_posix()
    if name in TESTED_BY:
        assert (ROOT / "tests" / TESTED_BY[name]).exists()
        assert not namesakes(module), "no exception any more"
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    has_logic = any(isinstance(node, BRANCHES) for node in ast.walk(tree))
    assert namesakes(module) or not has_logic, f"add test_{module.name} for {name}"


def test_exceptions_exist() -> None:
    assert not [name for name in TESTED_BY if not (ROOT / name).exists()]


NOT_FIRST = {"What", "Of", "How", "Whatever", "Told", "Nothing", "Something"}
NOT_FIRST_IN_TESTS = {"What", "Of"}
ARTICLES = {"A", "An", "The", "Whether", "Where", "Which"}


def docstrings(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield every docstring, of attributes too, and whether it has to be imperative."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for number, statement in enumerate(body if isinstance(body, list) else []):
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    decorators = getattr(node, "decorator_list", [])
                    is_property = any("property" in ast.unparse(one) for one in decorators)
                    is_function = isinstance(node, ast.FunctionDef) and number == 0
                    yield text, is_function and not is_property


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_begin_as_the_field_has_it(path: Path) -> None:
    is_test = path.is_relative_to(ROOT / "tests")  # where a docstring may state a fact
    for text, is_imperative in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
        first = (text.split() or [""])[0]
        assert first not in (NOT_FIRST_IN_TESTS if is_test else NOT_FIRST), text.splitlines()[0]
        assert not (is_imperative and not is_test and first in ARTICLES), text.splitlines()[0]


@pytest.mark.parametrize(
    "package",
    [path for room in ROOMS for path in sorted((ROOT / room).rglob("__init__.py"))],
    ids=lambda path: str(path.parent.relative_to(ROOT)),
)
def test_packages_say_what_they_may_import(package: Path) -> None:
    if package.parent == ROOT / "dggn":  # shows how to use it instead; see docs/architecture.md
        return
    text = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
    assert "May import " in text.replace("\n", " ")


def test_tests_are_not_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
