"""The page of `dggn-run --report`: every picture before and after, in one HTML file.

Pictures are appended to a nameless file as they are finished, so that memory does not grow with
their number; the page itself is put together at the end, and appears complete or not at all.
"""

from __future__ import annotations

import base64
import contextlib
import html
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from runtime.errors import ConfigError, TargetError
from runtime.jobs.result import FileResult, Preview
from runtime.report.lines import duration, needs_attention
from runtime.report.summary import Report
from runtime.system.files import NotReplaced, replacing
from runtime.system.terminal import printable

SUFFIXES = (".html", ".htm")


class HtmlReport:
    """Writer of one report page.

    Args:
        path: file of the page, replaced when the page is complete.

    Raises:
        ConfigError: its name does not end in .html, or it is a folder.
        TargetError: its folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        with self._translated():
            if path.suffix.lower() not in SUFFIXES or path.is_dir():
                # Never a photograph that someone named by mistake.
                raise ConfigError(f"--report is {path}: expected a file name ending in .html")
            # Without a name, so that a killed run leaves nothing behind.
            self._pictures = tempfile.TemporaryFile("w+b", dir=path.parent)  # noqa: SIM115

    def add(self, result: FileResult) -> None:
        """Append a picture, with its preview if it has one.

        Raises:
            TargetError: the disk is full.
        """
        with self._guard, self._translated():
            self._pictures.write(_bytes(_article(result)))

    def finish(self, report: Report) -> None:
        """Write the page; call once, however the run ended.

        Raises:
            TargetError: it cannot be written.
        """
        head, foot = page_parts(_facts(report))
        with self._guard, self._translated(), self._pictures:
            self._pictures.seek(0)
            with replacing(self._path) as page:
                page.write(_bytes(head))
                shutil.copyfileobj(self._pictures, page)
                page.write(_bytes(foot))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, NotReplaced) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise TargetError(
                f"cannot write the report {self._path}: {reason or error}. "
                "Make room or get permission, or choose another place for --report"
            ) from error


def page_parts(facts: Mapping[str, str]) -> tuple[str, str]:
    """Return the parts of a page before and after its pictures.

    Args:
        facts: HTML for `title`, `heading`, `facts` and `attention`, CSS for `style`.
    """
    head, foot = _own("page.html").split("{{pictures}}")
    for name, text in {"slider": _own("slider.css"), **facts}.items():
        head = head.replace("{{" + name + "}}", text)
    return head, foot


def _own(name: str) -> str:
    return files("runtime.report").joinpath(name).read_text(encoding="utf-8")


def slider(
    name: str,
    before: bytes,
    after: bytes,
    size_hw: tuple[int, int],
    *,
    labels: tuple[str, str] = ("before", "after"),
) -> str:
    """Return two superimposed pictures with a slider between them.

    Args:
        name: name of the picture.
        before: JPEG file of the left one.
        after: JPEG file of the right one.
        size_hw: size of both.
        labels: labels of the two.
    """
    height, width = size_hw
    size = f'width="{width}" height="{height}"'
    left, right = (_text(label) for label in labels)
    return (
        f'<div class="pair" style="--natural: {width}px">'
        f'<img class="after" {size} alt="{right}" data-src="{_uri(after)}">'
        f'<img class="before" {size} alt="{left}" data-src="{_uri(before)}">'
        f'<div class="line"></div><span class="is-before">{left}</span>'
        f'<span class="is-after">{right}</span>'
        '<input type="range" min="0" max="100" value="50" '
        f'aria-label="{_text(name)}: how much is shown of {left}, in percent"></div>'
    )


def _bytes(text: str) -> bytes:
    # Names of files may hold bytes that are no text.
    return text.encode("utf-8", errors="backslashreplace")


def _facts(report: Report) -> dict[str, str]:
    totals = report.totals
    lines = [totals.summary] if totals.done else []
    if report.model:
        lines.append(f"{report.model} in {report.precision} · {report.runs_on}")
    if report.settings:
        lines.append(
            ", ".join(
                f"{name} {value}" for name, value in report.settings.items() if value is not None
            )
        )
    if report.plan and report.plan.ignored:
        lines.append(f"ignored: {report.plan.ignored}")
    facts = "".join(f"<p>{_text(line)}</p>\n" for line in lines)
    if report.error:
        facts += f'<p class="error">{_text(report.error)}</p>\n'
    if report.not_reached:
        facts += f'<p class="error">not reached: {report.not_reached} pictures</p>\n'
    heading = f"{totals.done} upscaled"
    attention = totals.failed + totals.skipped
    if attention:
        heading += f", {attention} not"
    return {
        "title": _text(f"dggn-run: {heading}"),
        "heading": _text(heading),
        "facts": facts,
        "attention": str(attention),
        "style": "",
    }


def _article(result: FileResult) -> str:
    kept = result.status == "skipped" and result.message
    kind: str = "kept" if kept else result.status
    if not result.preview:
        kind += " small"
    parts = [f'<article class="{kind}"><h2>{_text(result.name)}</h2>']
    if result.preview:
        preview = result.preview
        parts.append(slider(result.name, preview.before, preview.after, preview.size_hw))
    facts = "".join(f"<p>{_text(line)}</p>" for line in _lines(result))
    if needs_attention(result):
        facts += f'<p class="why">{_text(f"{result.status}: {result.message}")}</p>'
    if result.notes:
        facts += f"<ul>{''.join(f'<li>{_text(note)}</li>' for note in result.notes)}</ul>"
    place = _place(result.preview) if result.preview else ""
    parts.append(f'<div class="foot"><div>{facts}</div>{place}</div></article>\n')
    return "".join(parts)


def _lines(result: FileResult) -> list[str]:
    if result.status == "skipped" and not result.message:
        return ["up to date from an earlier run"]
    if not result.source_size_hw:
        return []
    line = _size(result.source_size_hw)
    if result.target_size_hw:
        line += f" → {_size(result.target_size_hw)}"
    if result.clip:
        return [f"{line} · {result.frames} frames · {_seconds(result.seconds)}", result.clip]
    if result.frames > 1:
        line += f" · {result.frames} frames or pages"
    return [f"{line} · {_seconds(result.seconds)}"]


def _place(preview: Preview) -> str:
    left, top, width, height = (f"{100 * share:.1f}%" for share in preview.box)
    return (
        '<div class="whole" title="The part that is shown">'
        f'<img alt="The whole picture" data-src="{_uri(preview.whole)}">'
        f'<i style="left:{left};top:{top};width:{width};height:{height}"></i></div>'
    )


def _uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]:,} x {size_hw[0]:,}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _text(text: str) -> str:
    return html.escape(printable(text))
