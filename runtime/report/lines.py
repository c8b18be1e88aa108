"""Human-readable lines about the outcome of pictures."""

from __future__ import annotations

from runtime.jobs.result import FileResult


def duration(seconds: float) -> str:
    """Format a duration: `0:07`, `12:30`, `3:00:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def needs_attention(result: FileResult) -> bool:
    """Return whether a picture did not get the requested result."""
    return result.status == "failed" or (result.status == "skipped" and result.message != "")


def done_line(result: FileResult) -> str:
    """Describe a finished picture; empty for another."""
    if result.status != "done" or not result.source_size_hw or not result.target_size_hw:
        return ""
    return f"{_sizes(result)}, {result.seconds:.1f} s{_details(result)}"


def planned_line(result: FileResult) -> str:
    """Describe a picture that a dry run would upscale."""
    return f"{_sizes(result)}, into {result.target}{_details(result)}"


def _sizes(result: FileResult) -> str:
    assert result.source_size_hw is not None
    assert result.target_size_hw is not None
    (height, width), (new_height, new_width) = result.source_size_hw, result.target_size_hw
    return f"{result.name}: {width}x{height} -> {new_width}x{new_height}"


def _details(result: FileResult) -> str:
    frames = f"; {result.frames} frames or pages" if result.frames > 1 else ""
    if result.clip:
        frames = f"; {result.frames} frames of {result.clip}"
    return frames + "".join(f"; {note}" for note in result.notes)


def problem_line(result: FileResult) -> str:
    """Describe a picture that failed or was skipped."""
    return f"{result.name}: {result.status.upper()}: {result.message}"
