"""Decodes single tiles for the preview; belongs to the thread that computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec.decoded import Decoded
from napari_rdpdenoise.imports import no_collections
from napari_rdpdenoise.io import SelectedSource
from napari_rdpdenoise.nn.decoders.place import plane_seed
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan, Plan, Work, decoders_of, sampling_of
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile
from napari_rdpdenoise.ui.preview.plans import ChannelPlans, Series
from napari_rdpdenoise.ui.preview.viewport import TileRequest

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

__all__ = ["TileDecoder"]

_FIRST_HALO = 64  # px around a provisional tile: it is there a fifth sooner, and is replaced in a moment


class TileDecoder:
    """Reads, encodes and decodes single tiles as a run would; takes what `PreviewEngine` takes."""

    def __init__(self, cache: LatentCache | None, load: Callable[[str, str], Codec] | None) -> None:
        self.plans = ChannelPlans(cache)
        self._cache, self._load = cache, load
        self._loaded: set[tuple[str, str]] = set()

    def codec(self, settings: RunSettings) -> Codec:
        """The loaded model; raises as `load_model`."""
        if self._load is not None:
            codec = self._load(settings.model, settings.device)
        else:
            with no_collections():
                from napari_rdpdenoise.codec.device import shared_codec

                codec = shared_codec(settings.model, settings.device)
        self._loaded.add((settings.model, settings.device))
        return codec.at(settings.precision)

    def is_loaded(self, settings: RunSettings) -> bool:
        """Whether `codec` gave this model before, so that it gives it at once."""
        return (settings.model, settings.device) in self._loaded

    def wait_for_runs(self, codec: Codec, give_up: Callable[[], bool]) -> None:
        """Return when no run is under way on the codec's device; raises `GivenUp` if ``give_up`` says so."""
        from napari_rdpdenoise.codec.device import device_turns

        device_turns(codec.device).wait_for_runs(give_up)

    def make(
        self,
        series: Series,
        request: TileRequest,
        plan: ChannelPlan,
        codec: Codec,
        give_up: Callable[[], bool],
        *,
        provisional: bool,
    ) -> DecodedTile:
        """Denoise one tile with both decoders; a provisional one with those that are shown of it.

        Args:
            series: Series that it is a part of.
            request: Plane, channel and tile.
            plan: Plan of the channel.
            codec: Loaded model.
            give_up: Function that tells, while the device computes something else, whether to stop waiting.
            provisional: Whether the plan's rate is not the final one.

        Raises:
            GivenUp: If ``give_up`` said so.
        """
        from napari_rdpdenoise.codec.device import device_turns
        from napari_rdpdenoise.stream.tile import TileTask

        cache = None if provisional else self._cache  # no run would ask for latents of a provisional rate
        settings = series.settings if provisional else series.settings.replace(realism=1.0)
        names = tuple(n for n in decoders_of(settings) if n in codec.decoders)
        source = SelectedSource(series.source)
        task = TileTask(
            source,
            Plan((), {request.channel: plan}, ()),
            codec,
            cache,
            names,
            self.plans.brightness(series),
            sampling_of(series.settings),
            ensemble=series.settings.ensemble,
        )
        turn = device_turns(codec.device).turn(give_up)
        tile = request.tile.with_halo(_FIRST_HALO) if provisional else request.tile
        work = Work(request.index, tile, request.channel, plane_seed(series.settings.seed, request.index))
        item, decoded = task.do(work, turn)
        width = None
        if codec.card.intervals is not None and item.latents is not None and not provisional:
            with device_turns(codec.device).turn(give_up):
                (width,) = task.half_widths([item], [decoded])
        place = tile.core_in_outer
        images = {name: image[place].copy() for name, image in decoded.items()}  # no views: the halo goes
        return DecodedTile(
            Decoded(images),
            None if item.kept is None else item.kept.at(place),
            float("nan") if item.latents is None else item.latents.bpp,
            provisional,
            work.seed,
            None if item.back is None else item.back.noise_share[place].astype(np.float16),
            None if width is None else width[place].copy(),
        )
