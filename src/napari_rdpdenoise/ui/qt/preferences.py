"""What the user has set in napari's preferences (napari >= 0.9; the defaults before).

An empty text means "not set". The environment variables of cache and networks come before the preferences,
as napari's own do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.files import BACKBONES_VARIABLE, CACHE_VARIABLE

__all__ = ["GB", "Preferences", "backbone_folder", "open_cache", "preferences"]

GB = 10**9  # bytes

_PLUGIN, _CATEGORY = "napari-rdpdenoise", "rdpdenoise"  # as in napari.yaml


@dataclass(frozen=True)
class Preferences:
    """The preferences of this plugin, with its defaults.

    Attributes:
        model: Name of a model, shipped or the user's own, or path of a model folder.
        device: "auto", "cpu", "cuda" or "mps".
        cache_folder: Folder for encoded tiles; empty for the usual place.
        cache_gb: Limit of that folder, GB (10**9 bytes); 0 keeps none on disk.
        backbone_folder: Folder with the networks of the perceptual metrics; empty for the usual places.
    """

    model: str = "default"
    device: str = "auto"
    cache_folder: str = ""
    cache_gb: float = 2.0
    backbone_folder: str = ""

    @property
    def cache_bytes(self) -> int:
        """Limit of the cache on disk, bytes."""
        return round(self.cache_gb * GB)


def preferences() -> Preferences:
    """What is set now; the defaults where napari has no preferences of plugins."""
    found = _settings()
    if found is None:
        return Preferences()
    values = {field.name: getattr(found, field.name) for field in fields(Preferences)}
    texts = {name: value.strip() for name, value in values.items() if isinstance(value, str)}
    # an emptied text of model or device means the default too
    return Preferences(**{name: value for name, value in {**values, **texts}.items() if value != ""})


def open_cache(chosen: Preferences) -> LatentCache:
    """The cache of encoded tiles that the preferences describe; nothing is read or written yet."""
    in_environment = bool(os.environ.get(CACHE_VARIABLE))
    folder = (
        "default" if in_environment or not chosen.cache_folder else Path(chosen.cache_folder).expanduser()
    )
    return LatentCache(disk_bytes=chosen.cache_bytes, folder=folder)


def backbone_folder(chosen: Preferences) -> Path | None:
    """Where to look for the metrics' networks, and only there; None for the usual places."""
    if os.environ.get(BACKBONES_VARIABLE) or not chosen.backbone_folder:
        return None
    return Path(chosen.backbone_folder).expanduser()


def _settings() -> Any | None:
    """Napari's model of this plugin's preferences; None if there is none."""
    try:
        from napari.settings import get_plugin_settings

        return getattr(get_plugin_settings(_PLUGIN), _CATEGORY, None)
    except (ImportError, KeyError):  # napari < 0.9; not installed in this napari, or switched off
        return None
