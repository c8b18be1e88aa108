"""The documents are correct: their commands, examples, links and messages."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.processes import run

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples/README.md")
)
GENERATED = re.compile(r"docs/reference/dggn-\w+\.md")
"""Pages that exist on the site only."""


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, text_of(document), re.DOTALL | re.MULTILINE)


def test_exactly_two_commands_set_up() -> None:
    assert blocks("README.md", "sh") == [
        "pip install '.[cpu]' && dggn-run examples upscaled\n",
        "pip install -c constraints.txt -e '.[dev]' && pytest\n",
    ]


@pytest.mark.parametrize("document", ["README.md", "docs/quickstart.md"])
def test_python_examples_run(document: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "examples", tmp_path / "photos")
    shutil.copy(ROOT / "examples" / "rocket.jpg", tmp_path / "photo.jpg")
    # The examples of a page build on each other.
    code = "".join(blocks(document, "python"))
    result = run([sys.executable, "-c", code], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert list(tmp_path.glob("*large.png"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    targets = re.findall(r"\]\(([^)#\s]+)", text_of(document))
    missing = [
        target
        for target in targets
        if not target.startswith("https://")
        and not (folder / target).exists()
        and not GENERATED.fullmatch((folder / target).resolve().relative_to(ROOT).as_posix())
    ]
    assert not missing


def said_in_source() -> str:
    """All strings in the code; `…` stands for what an f-string fills in."""
    texts = []
    for room in ("runtime", "dggn", "export", "calibration"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = (getattr(part, "value", "") for part in node.values)
                    texts.append("".join(one if isinstance(one, str) else "…" for one in parts))
    return "\n".join(texts)


def test_every_message_in_troubleshooting_exists() -> None:
    messages = re.findall(r"^\| `(.+?)` \|", text_of("docs/troubleshooting.md"), re.MULTILINE)
    assert len(messages) > 50
    source = said_in_source()
    unknown = [
        message
        for message in messages
        if not re.search(".{0,80}?".join(map(re.escape, message.split("…"))), source)
    ]
    assert not unknown
