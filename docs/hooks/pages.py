"""Pages of the site that are written elsewhere: the README and its like, and the commands' help."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import tomllib
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not below docs/."""
    for name, page in PAGES.items():
        text = _site_links((ROOT / name).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "LICENSE.txt", abs_src_path=str(ROOT / "LICENSE")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for command, entry in project["scripts"].items():
        text = _command_reference(command, entry.partition(":")[0])
        files.append(File.generated(config, f"reference/{command}.md", content=text))
    return files


def _site_links(text: str) -> str:
    """Point the links of a file in the repository's root at the site's pages."""
    for name, page in PAGES.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text.replace("](docs/", "](").replace("](LICENSE)", "](LICENSE.txt)")


def _command_reference(command: str, module: str) -> str:
    """Have typer describe a command and its subcommands in Markdown."""
    typer = [sys.executable, "-m", "typer", module, "utils", "docs", "--name", command]
    done = subprocess.run(typer, cwd=ROOT, capture_output=True, text=True, check=True)
    summaries = dict(re.findall(r"^## `(\S+ \S+)`\n\n(.+)$", done.stdout, re.MULTILINE))

    def whole(line: re.Match[str]) -> str:
        """Undo typer's shortening of a subcommand's summary, and link to its section."""
        name = f"{command} {line[1]}"
        return f"* [`{line[1]}`](#{name.replace(' ', '-')}): {summaries[name]}"

    head, commands, rest = done.stdout.partition("**Commands**:\n")
    listed, heading, sections = rest.partition("\n## ")
    return (
        head + commands + re.sub(r"^\* `(\S+)`: .*", whole, listed, flags=re.M) + heading + sections
    )
