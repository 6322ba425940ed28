"""Idempotence of a finished result: its tiles are encoded again as the noisy ones were."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from napari_rdpdenoise.axes import channels_as_colours
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.idempotence import Idempotence, encode_again
from napari_rdpdenoise.io import ImageSource, SelectedSource
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import Plan, decoders_of
from napari_rdpdenoise.stream.prepare import make_plan
from napari_rdpdenoise.stream.tile import TileTask

MOST_TILES = 64
"""Tiles that are looked at, spread over all of them: the share of a few million symbols is exact enough."""


def encode_result_again(
    source: ImageSource,
    result: ImageSource,
    settings: RunSettings,
    codec: Codec,
    cache: LatentCache | None = None,
) -> Generator[str, None, dict[int, Idempotence]]:
    """Encode tiles of a result again, yielding lines on how far it is; what was found is the return value.

    Rate, noise and neighbours are those of the run. The result is encoded as it is in the file, so what was
    rounded, blended or taken back from the residual counts. The decodes that are compared are the decoders'
    own, at the run's realism.

    Args:
        source: Noisy image.
        result: Result of it, with the chosen channels and times.
        settings: Settings of the run.
        codec: Model of the run.
        cache: Cache of latents, None for none.

    Returns:
        By the number of the channel on the noisy image's channel axis, 0 where there is none.

    Raises:
        ValueError: If the result is no image that was decoded from one encoding of each tile, or has not the
            size of what was chosen of the noisy image.
    """
    _check_of_one_encoding(settings)
    chosen = SelectedSource(source, settings.channels, settings.time)
    if result.shape != chosen.shape:
        raise ValueError(
            f"RESULT: expected the size of what was chosen of the noisy image, {chosen.shape}, "
            f"found {result.shape}; give the noisy image that the result was made from"
        )
    plan = yield from _planned(source, settings, codec, cache)
    names = decoders_of(settings)
    before = TileTask(chosen, plan, codec, cache, names)
    after = TileTask(SelectedSource(_in_colour(result, source)), plan, codec, None, names)
    works = [work for work in plan.works if work.channel in plan.channels]
    picked = [works[int(i)] for i in np.linspace(0, len(works) - 1, min(MOST_TILES, len(works)))]
    found: dict[int, Idempotence] = {}
    for number, work in enumerate(picked):
        yield f"tile {number + 1} of {len(picked)}, out of {len(works)}"
        noisy, denoised = before.read(work), after.read(work)
        before.encode([noisy])
        if noisy.latents is not None:
            tile = work.tile
            again = encode_again(
                codec, noisy.latents, denoised.raw, settings.realism, work.place, denoised.neighbours,
                tile.core_in_outer,
            )  # fmt: skip
            found[work.channel] = found.get(work.channel, Idempotence()) + again
    return found


def _check_of_one_encoding(settings: RunSettings) -> None:
    """Refuse results of which no bits say what they are to be compared with."""
    if settings.quantity != "image":
        raise ValueError(
            f"RESULT: expected a denoised image, found the {settings.quantity!r} of one; give that image"
        )
    if settings.ensemble > 1:
        raise ValueError(
            f"RESULT: expected an image of one encoding, found an average over {settings.ensemble} mirror "
            "images, each with bits of its own; denoise without --ensemble to look at these"
        )


def _in_colour(result: ImageSource, source: ImageSource) -> ImageSource:
    """A result with colours where a file keeps those of the noisy image as channels."""
    axes = channels_as_colours(result.metadata.axes, source.metadata.axes)
    if axes == result.metadata.axes:
        return result
    renamed = SelectedSource(result)
    renamed.metadata = replace(renamed.metadata, axes=axes)
    return renamed


def _planned(
    source: ImageSource, settings: RunSettings, codec: Codec, cache: LatentCache | None
) -> Generator[str, None, Plan]:
    """The plan of the run; lines of its preparation on the way."""
    for made in make_plan(source, settings, codec, cache=cache):
        if isinstance(made, Plan):
            return made
        if made is not None:
            yield made
    raise AssertionError("make_plan ends with a plan")
