"""The plane that is looked at, as arrays: put together once, then tile by tile as they come. No Qt here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from napari_rdpdenoise.tiles import Tile
from napari_rdpdenoise.ui.layers.stacks import Box
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile
from napari_rdpdenoise.ui.preview.plans import SeriesKey
from napari_rdpdenoise.ui.preview.shown import Shown, assemble, within

__all__ = ["Place", "Scene"]


@dataclass(frozen=True)
class Place:
    """What is looked at.

    Attributes:
        series: Layer, its resolution and how it is denoised.
        index: Index of the plane.
        frame: Rows and columns of it that are held.
    """

    series: SeriesKey
    index: tuple[int, ...]
    frame: Box


class Scene:
    """The plane that was asked for last; none at first."""

    def __init__(self) -> None:
        self._held: tuple[Place, Shown] | None = None

    def of(
        self, place: Place, noisy: Callable[[], NDArray[Any]], tiles: Sequence[tuple[Tile, DecodedTile]]
    ) -> Shown:
        """The plane of a place, at realism 0.

        Args:
            place: What is looked at.
            noisy: Function that reads its noisy pixels; called only where it was not asked for last.
            tiles: All its decoded tiles, at least one; used only then, as later ones come by `add`.
        """
        if self._held is None or self._held[0] != place:
            self._held = place, assemble(place.series.layer, place.index, noisy(), tiles, place.frame)
        return self._held[1]

    def add(self, series: SeriesKey, index: tuple[int, ...], tile: Tile, decoded: DecodedTile) -> None:
        """One more decoded tile; that of another place is left out."""
        if self._held is None:
            return
        place, shown = self._held
        if (place.series, place.index) != (series, index) or not within(tile, place.frame):
            return
        if shown.holds(decoded):
            shown.add(tile, decoded)
        else:
            self.forget()  # put together anew when it is asked for

    def forget(self) -> None:
        """Let go of the plane."""
        self._held = None
