"""A store against what it was made from: how far the original is off, whether light was kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.codec.bitstream import unpack as unpack_latents
from napari_rdpdenoise.io import ImageSource, OutputSpec, SelectedSource, open_image, open_stack
from napari_rdpdenoise.io.output.storage import StoredLayout, store_layout
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.store.about import StoreInfo, attributes, store_info
from napari_rdpdenoise.store.extract import Block, blocks
from napari_rdpdenoise.store.reading import iter_chunks, open_group, open_store
from napari_rdpdenoise.store.units import to_units

__all__ = ["ChannelCheck", "Verification", "verify"]

_ROUNDING = 0.02  # noise standard deviations by which decodes of two machines may differ


@dataclass
class ChannelCheck:
    """How one channel of a store compares with the input.

    Attributes:
        channel: Number on the stored channel axis.
        worst: Largest error of the original layer, noise standard deviations; NaN where it was not kept.
        beyond: Largest error beyond half a step and the rounding to whole counts, noise standard deviations;
            NaN where the original was not kept.
        mean: Mean of the input, counts.
        denoised_mean: Mean of the denoised image at realism 0, counts.
    """

    channel: int
    worst: float = float("nan")
    beyond: float = float("nan")
    mean: float = 0.0
    denoised_mean: float = 0.0
    _squares: float = 0.0
    _pixels: int = field(default=0)

    @property
    def rms(self) -> float:
        """Error of the original layer, noise standard deviations rms; NaN where it was not kept."""
        return float("nan") if np.isnan(self.worst) else float(np.sqrt(self._squares / max(self._pixels, 1)))

    @property
    def added_noise(self) -> float:
        """By how much the noise of the original layer is raised, a share of it: .04 for 4 %."""
        return float(np.sqrt(1 + self.rms**2) - 1)

    def add(self, original: NDArray[Any], denoised: NDArray[Any]) -> None:
        """Count one block of the input and of the denoised image."""
        valid = np.isfinite(original) & np.isfinite(denoised)
        count = int(np.count_nonzero(valid))
        if count:
            before, self._pixels = self._pixels, self._pixels + count
            share = count / (before + count)
            self.mean += share * (float(original[valid].mean(dtype=np.float64)) - self.mean)
            new = float(denoised[valid].mean(dtype=np.float64))
            self.denoised_mean += share * (new - self.denoised_mean)

    def add_error(self, original: NDArray[Any], kept: NDArray[Any], noise: NoiseModel, step: float) -> None:
        """Count one block of the input and of the original layer."""
        valid = np.isfinite(original) & np.isfinite(kept)
        values, found = original[valid].astype(np.float64), kept[valid].astype(np.float64)
        error = np.abs(to_units(values, noise) - to_units(found, noise))
        allowed: Any = step / 2 if step else 0.0
        if step and original.dtype.kind in "iu":  # counts are whole
            allowed = allowed + (to_units(found + 0.5, noise) - to_units(found - 0.5, noise)) / 2
        lost = 0.0 if np.array_equal(np.isfinite(original), np.isfinite(kept)) else np.inf
        self.worst = float(np.fmax(self.worst, error.max(initial=lost)))
        self.beyond = float(np.fmax(self.beyond, (error - allowed).max(initial=lost)))
        self._squares += float(np.square(error).sum())


@dataclass(frozen=True)
class Verification:
    """How a store compares with the input.

    Attributes:
        info: What the store holds.
        channels: How each channel compares.
    """

    info: StoreInfo
    channels: tuple[ChannelCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether the original is as near as its steps promise; also where none was kept."""
        return all(not channel.beyond > _ROUNDING for channel in self.channels)


def verify(
    path: str | Path, image: Any, *, axes: str | None = None
) -> Iterator[tuple[int, int] | Verification]:
    """Compare a store with its input, yielding how many of how many blocks are done, and last what was found.

    Args:
        path: Folder of the store.
        image: Path, array or source of the image that it was made from.
        axes: Axes of the image, as they were given when the store was made; None for those of then.

    Raises:
        FileNotFoundError: If there is no such store or image.
        ValueError: If it is no store, or the image is of another shape.
        StoreError: If a chunk is damaged.
    """
    info = store_info(path)
    source, layout = _source(path, image, axes, info)
    denoised = open_store(path, realism=0.0, layer="denoised")
    kept = None if info.residual == "none" else open_store(path, realism=0.0, layer="original")
    step = 0.0 if info.residual in ("none", "lossless") else float(info.residual)
    noises = {entry.channel: NoiseModel(*entry.noise) for entry in info.channels}
    axis = layout.axes.find("C")
    own = {} if kept is None else _noises(path)
    checks: dict[int, ChannelCheck] = {}
    todo = blocks(source, path)
    for done, block in enumerate(todo):
        yield done, len(todo)
        stored = layout.index(block.plane)
        number = stored[axis] if axis >= 0 else 0
        check = checks.setdefault(number, ChannelCheck(number))
        original = source.read(*block)
        check.add(original, _read(denoised, stored, block))
        if kept is not None:
            chunk = (*stored, block.y.start // denoised.chunks[-2], block.x.start // denoised.chunks[-1])
            noise = own.get(chunk) or noises.get(number, NoiseModel(0.0, 0.0, 1.0))
            check.add_error(original, _read(kept, stored, block), noise, step if number in noises else 0.0)
    yield Verification(info, tuple(checks[number] for number in sorted(checks)))


def _noises(path: str | Path) -> dict[tuple[int, ...], NoiseModel]:
    """Noise models of a store's chunks by their place: planes may have noise of their own."""
    heads = (
        (chunk.place, unpack_latents(latents).header)
        for chunk in iter_chunks(path)
        for tile in chunk.tiles
        if (latents := tile.latents)
    )
    return {place: NoiseModel(head.gain, head.offset, head.read_noise) for place, head in heads}


def _read(array: Any, stored: tuple[int, ...], block: Block) -> NDArray[Any]:
    return np.asarray(array[(*stored, block.y, block.x)])


def _source(
    path: str | Path, image: Any, axes: str | None, info: StoreInfo
) -> tuple[ImageSource, StoredLayout]:
    """What of the input the store holds, and where it lies in it."""
    told = attributes(open_group(path)).get("chosen", {})
    axes = axes or told.get("axes")
    if told.get("stack"):
        opened = open_stack(str(image), told["stack"], axes)
    else:
        opened = open_image(image, axes, told.get("series"))
    time, channels = told.get("time"), told.get("channels")
    if channel_axis(opened.metadata.axes) is None:
        channels = None
    source = SelectedSource(opened, channels, None if time is None else tuple(time))
    spec = OutputSpec(source.shape, source.metadata.axes, source.dtype, source.metadata)
    layout = store_layout(spec, time_channel_depth=True)
    if layout.shape != info.shape:
        raise ValueError(
            f"image: expected the one that the store was made from, {info.axes} {info.shape}, found "
            f"{layout.axes} {layout.shape}; give its axes, or compare the right one"
        )
    return source, layout
