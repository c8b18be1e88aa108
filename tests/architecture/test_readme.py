"""What the README says is what works."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.processes import run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_exactly_two_commands_set_up() -> None:
    assert blocks("sh") == [
        "pip install '.[cpu]' && dggn-run examples upscaled\n",
        "pip install -c constraints.txt -e '.[dev]' && pytest\n",
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    result = run([sys.executable, "-c", code], cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.glob("*-large.png"))


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/openvino.md",
        "docs/tensorrt.md",
        "examples/README.md",
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)", text)
    missing = [
        target
        for target in targets
        if not target.startswith("https://") and not ((ROOT / document).parent / target).exists()
    ]
    assert not missing
