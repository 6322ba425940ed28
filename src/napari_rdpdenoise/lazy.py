"""The result as a dask array: a block is denoised when it is asked for.

One block is the core of one tile. It reads the tile with its halo from the source by itself, so blocks do not
depend on one another and any scheduler may compute any of them, in any order. Noise model, normalisation and
rate are found once, before the graph is built: blocks agree with one another and with the streamed result.
"""

from __future__ import annotations

import uuid
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.device import device_turns, shared_codec
from napari_rdpdenoise.io import ImageSource, SelectedSource
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.neighbours import Brightness
from napari_rdpdenoise.stream.output import output_dtype
from napari_rdpdenoise.stream.plan import Plan, check_model, decoders_of, for_image, sampling_of, work_at
from napari_rdpdenoise.stream.prepare import make_plan
from napari_rdpdenoise.stream.tile import TileTask, copied
from napari_rdpdenoise.tiles import Tile, plan_tiles

if TYPE_CHECKING:
    import dask.array


def denoise_lazy(
    source: ImageSource,
    settings: RunSettings,
    *,
    codec: Codec | None = None,
    cache: LatentCache | None = None,
) -> dask.array.Array:
    """Denoise ``source`` block by block, when blocks are computed.

    Args:
        source: Whole image; some windows of it are read at once, for the statistics.
        settings: Settings of the run; ``batch``, ``overwrite`` and ``output_format`` have no meaning here.
        codec: Loaded model, None to load ``settings.model`` once in every process that computes.
        cache: Cache of latents, None for none. With it, the array can be computed in this process only.

    Returns:
        Lazy array of the chosen channels and times in the source's axes; its chunks are single planes along
        the leading axes and the cores of the tiles in Y and X.

    Raises:
        DecoderMissing: If realism is asked of a model without a realism decoder.
        ValueError: if a channel or time is missing.
        FileNotFoundError: if there is no such model.
    """
    import dask.array as da

    chosen = SelectedSource(source, settings.channels, settings.time)
    if codec is None:
        settings = for_image(settings, source)
    planning = (codec or shared_codec(settings.model, settings.device)).at(settings.precision)
    check_model(planning, settings)
    plan = next(step for step in make_plan(source, settings, planning, cache=cache) if isinstance(step, Plan))
    for message in plan.messages:
        warnings.warn(message, UserWarning, stacklevel=4)
    tiles = plan_tiles((chosen.shape[-2], chosen.shape[-1]), settings.tile, settings.halo)
    dtype = output_dtype(source, settings)
    # all works of a long series would travel with every block
    block = _Block(chosen, settings, replace(plan, works=()), tiles, dtype, codec, cache)
    return da.map_blocks(
        block,
        chunks=(*((1,) * size for size in chosen.shape[:-2]), *_chunks(tiles)),
        dtype=dtype,
        meta=np.empty((0,) * len(chosen.shape), dtype),
        name=f"denoise-{uuid.uuid4().hex}",  # a name by content would have to read the whole series
    )


class ComputedArray:
    """A dask array whose slices come as NumPy arrays, computed in the thread that asks.

    A block that reads its source runs inside a scheduler already; a second pool of threads in each of them
    would be too many.
    """

    def __init__(self, array: dask.array.Array) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key: Any) -> NDArray[np.generic]:
        """Compute a slice."""
        return np.asarray(self._array[key].compute(scheduler="synchronous"))


@dataclass(frozen=True)
class _Block:
    """Computes the block at a place of the chunk grid."""

    source: SelectedSource
    settings: RunSettings
    plan: Plan
    tiles: tuple[Tile, ...]
    dtype: np.dtype
    codec: Codec | None
    cache: LatentCache | None
    brightness: Brightness = field(default_factory=Brightness)

    def __call__(self, block_id: tuple[int, ...]) -> NDArray[np.generic]:
        """Denoise one core; float or integer array of one chunk's shape."""
        *index, row, column = block_id
        tile = self.tiles[row * len(_chunks(self.tiles)[1]) + column]
        work = work_at(self.source, self.settings, tuple(index), tile)
        lead = (None,) * len(index)
        if work.channel not in self.plan.channels:
            return copied(self.source, work, self.dtype)[lead]
        codec = self.codec or shared_codec(self.settings.model, self.settings.device)
        codec = codec.at(self.settings.precision)
        task = TileTask(
            self.source,
            self.plan,
            codec,
            self.cache,
            decoders_of(self.settings),
            self.brightness,
            sampling_of(self.settings),
            self.settings.quantity,
            self.settings.ensemble,
        )
        item, decoded = task.do(work, device_turns(codec.device).turn())
        core, _ = item.core(decoded.blend(self.settings.realism), self.dtype, self.settings.quantity)
        return core[lead]


def _chunks(tiles: tuple[Tile, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Heights of the rows and widths of the columns of tiles, px."""
    rows = tuple(t.y1 - t.y0 for t in tiles if t.x0 == 0)
    columns = tuple(t.x1 - t.x0 for t in tiles if t.y0 == 0)
    return rows, columns
