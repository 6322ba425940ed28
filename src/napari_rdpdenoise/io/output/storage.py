"""How an image of any axes is laid down in a file format that takes few axes in a fixed order.

OME-Zarr and OME-TIFF know time, depth and *one* more axis. Every other axis is the channel axis, several of
them are merged into one (last one fastest):

    SYX -> CYX      TZCYX -> TCZYX (OME-Zarr)      CQYX -> CYX with one channel for each pair
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from napari_rdpdenoise.axes import is_picture
from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.source import Index


@dataclass(frozen=True)
class StoredLayout:
    """Stored axes and where each index of the canonical image lies in them.

    Attributes:
        axes: Stored axes, ending with YX.
        shape: Stored shape.
        channel_names: One name per entry of the stored channel axis, or empty.
        groups: For each stored leading axis the positions of the canonical axes merged into it.
        leading: Canonical leading sizes.
    """

    axes: str
    shape: tuple[int, ...]
    channel_names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    leading: tuple[int, ...]

    def stored_planes(self, planes: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
        """Values per plane, given in the order of the canonical leading axes, in that of the stored ones."""
        order = [axis for group in self.groups for axis in group]
        return {
            key: tuple(np.asarray(along, float).reshape(self.leading).transpose(order).ravel().tolist())
            for key, along in planes.items()
        }

    def index(self, index: Index) -> Index:
        """Stored index of a canonical one."""
        return tuple(self._merged(index, group) for group in self.groups)

    def _merged(self, index: Index, group: tuple[int, ...]) -> int:
        merged = 0
        for axis in group:
            merged = merged * self.leading[axis] + int(index[axis])
        return merged


def store_layout(spec: OutputSpec, *, time_channel_depth: bool) -> StoredLayout:
    """Lay an output down, with the axes T, C and Z in this order (OME-Zarr demands it) or in their own.

    With the former a lone axis other than C and S keeps its own letter.
    """
    leading, sizes = spec.axes[:-2], spec.shape[:-2]
    others = (i for i, axis in enumerate(leading) if axis not in "TZ")
    channel_like = tuple(sorted(others, key=lambda i: leading[i] == "S"))  # colours of a channel together
    groups: list[tuple[str, tuple[int, ...]]] = [
        (axis, (i,)) for i, axis in enumerate(leading) if axis in "TZ"
    ]
    if channel_like:
        alone = leading[channel_like[0]] if len(channel_like) == 1 else "C"
        letter = alone if time_channel_depth and alone != "S" else "C"
        groups.append((letter, channel_like))
    if time_channel_depth:
        groups.sort(key=lambda entry: {"T": 0, "Z": 2}.get(entry[0], 1))
    else:
        groups.sort(key=lambda entry: entry[1][0])
    merged_sizes = tuple(int(np.prod([sizes[i] for i in members])) for _, members in groups)
    return StoredLayout(
        axes="".join(letter for letter, _ in groups) + "YX",
        shape=(*merged_sizes, *spec.shape[-2:]),
        channel_names=_channel_names(spec, channel_like),
        groups=tuple(members for _, members in groups),
        leading=tuple(sizes),
    )


def _channel_names(spec: OutputSpec, channel_like: tuple[int, ...]) -> tuple[str, ...]:
    names, letters = spec.metadata.channel_names, [spec.axes[i] for i in channel_like]
    named = next((letter for letter in "CS" if letter in letters), None)
    if len(channel_like) < 2:
        if letters == ["S"] and not names and is_picture(spec.axes, spec.shape):
            return ("Red", "Green", "Blue", "Alpha")[: spec.shape[channel_like[0]]]
        return tuple(names) if named and len(names) == spec.shape[channel_like[0]] else ()
    choices = []
    for i, letter in zip(channel_like, letters, strict=True):
        own = names if letter == named and len(names) == spec.shape[i] else None
        choices.append(own or [f"{letter}{k}" for k in range(spec.shape[i])])
    return tuple(" ".join(parts) for parts in product(*choices))
