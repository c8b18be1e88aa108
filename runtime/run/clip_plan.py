"""Plans the result of a video before anything is computed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.codecs.output import OutputSettings, passes_for, target_size_hw
from runtime.errors import ImageWriteError
from runtime.jobs.stamp import SourceStamp
from runtime.model.info import ModelInfo
from runtime.run.second_pass import SECOND_PASS_NOTE
from runtime.video.encoding import Encoding, plan_encoding
from runtime.video.facts import Clip, look_at
from runtime.video.library import library_versions
from runtime.video.settings import VideoSettings

FRAMES_AT_LEAST = 4
"""Frames in memory at once: decoded, upscaled, reduced and encoded."""

FRAMES_AT_MOST = 32
"""More frames do not fill more batches."""

DEEP_NOTE = "computed with 8 bits, the most that the model supports"


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """Properties of a video, and settings of its result."""

    clip: Clip
    encoding: Encoding
    passes: int
    """Number of passes through the model."""
    frame_bytes: int
    """Memory of an upscaled frame, before it is reduced."""
    is_deep: bool
    """Whether the model receives 16-bit samples."""
    notes: tuple[str, ...]

    @property
    def shown_hw(self) -> tuple[int, int]:
        """Displayed size of the result."""
        height, width = self.encoding.size_hw
        return (width, height) if self.clip.is_on_its_side else (height, width)

    def frames_at_once(self, memory_bytes: int) -> int:
        """Return how many upscaled frames may be in memory."""
        return max(2, min(FRAMES_AT_MOST, memory_bytes // self.frame_bytes))

    def fingerprint(self, source: SourceStamp, settings: str) -> str:
        """Return a fingerprint of everything that affects a segment.

        Args:
            source: stamp of the source file.
            settings: fingerprint of model and settings.
        """
        facts = {
            "source": source.sha256,
            "settings": settings,
            "encoding": asdict(self.encoding),
            "libraries": library_versions(),
        }
        return hashlib.sha256(json.dumps(facts, default=str, sort_keys=True).encode()).hexdigest()


def plan_clip(
    source: Path,
    target: Path,
    settings: OutputSettings,
    video: VideoSettings,
    info: ModelInfo,
    *,
    memory_bytes: int,
) -> ClipPlan:
    """Inspect a video and plan its result.

    Args:
        source: path of the video.
        target: path of the result, whose suffix selects the container.
        settings: output settings with the requested size.
        video: settings for videos.
        info: properties of the model.
        memory_bytes: memory available for upscaled frames.

    Raises:
        ImageError: it cannot be read or written, or its frames are too large for memory.
        ConfigError: a setting is invalid.
        MissingDependency: PyAV is not installed.
    """
    clip = look_at(source, video)
    shown_hw = target_size_hw(clip.shown_hw, settings, info.scale)
    stored_hw = (shown_hw[1], shown_hw[0]) if clip.is_on_its_side else shown_hw
    passes = passes_for([clip.shown_hw], settings, info.scale)
    is_deep = clip.is_deep and info.sample_type != "uint8"
    height, width = clip.size_hw
    frame_bytes = 3 * (1 + is_deep) * height * width * info.scale ** (2 * passes)
    if FRAMES_AT_LEAST * frame_bytes > memory_bytes:
        raise ImageWriteError(
            f"{target.name}: frames of {frame_bytes / 1e9:.2f} GB are too large for memory: allow "
            "more with --memory, or make the clip smaller first"
        )
    encoding = plan_encoding(clip, stored_hw, target, video)
    notes = [*clip.notes, *encoding.notes]
    notes += [SECOND_PASS_NOTE] if passes == 2 else []
    notes += [DEEP_NOTE] if clip.is_deep and not is_deep else []
    return ClipPlan(
        clip=clip,
        encoding=encoding,
        passes=passes,
        frame_bytes=frame_bytes,
        is_deep=is_deep,
        notes=tuple(notes),
    )
