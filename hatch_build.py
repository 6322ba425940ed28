"""Build hook: editable installs see the top-level `napari.yaml` and `models/` inside the package.

npe2 looks for the manifest inside the package folder only, and the package looks for its models there. Wheels
get both through `force-include`; an editable install has no wheel content, so links (or copies, where links
are not possible) stand in for them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    """Link the shared top-level files into the package of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Replace the two links; `version` is "editable" or "standard"."""
        if version != "editable":
            return
        root = Path(self.root)
        for name in ("napari.yaml", "models"):
            source, target = root / name, root / "src" / "napari_rdpdenoise" / name
            _remove(target)
            try:
                target.symlink_to(os.path.relpath(source, target.parent), target_is_directory=source.is_dir())
            except OSError:  # file systems and accounts without symbolic links, e.g. on Windows
                _copy(source, target)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
