"""From the settings of a source to the source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_rdpdenoise.train.data.series import ColourSource, SeriesSource
from napari_rdpdenoise.train.data.sources import (
    CleanSource,
    IdentitySource,
    NoisySource,
    SimulatedSource,
    Source,
)
from napari_rdpdenoise.train.settings import MotionRange, NoiseRange, SourceSettings


def open_source(
    settings: SourceSettings,
    files: Sequence[Path],
    root: Path,
    noise: NoiseRange,
    motion: MotionRange | None = None,
) -> Source:
    """The source that settings ask for.

    Args:
        settings: Settings of the source.
        files: Images to train on.
        root: Data folder, which the settings' folders are relative to.
        noise: Noise of the run.
        motion: Range of the motion for a network that sees neighbours; None for one that does not.

    Raises:
        ValueError: If the kind is of images in memory.
    """
    if settings.kind == "clean":
        return CleanSource(settings, files, noise, motion)
    if settings.kind == "simulated":
        return SimulatedSource(settings, noise, motion)
    if settings.kind == "series":
        return SeriesSource(settings, files, noise, motion)
    if settings.kind == "colours":
        return ColourSource(settings, files, noise, motion)
    if settings.kind == "identity":
        return IdentitySource(settings, files)
    if settings.kind == "self":
        raise ValueError("sources: kind 'self' is for images in memory; use the finetune command")
    return NoisySource(settings, files, root)
