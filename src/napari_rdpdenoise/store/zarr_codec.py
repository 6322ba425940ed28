"""The Zarr 3 codec: a chunk of pixels <-> its coded tiles. Zarr finds it through the package's entry point.

In ``zarr.json``::

    {"name": "napari-rdpdenoise", "configuration": {
        "model": "fluo-light", "digest": "72863a77...",
        "rate": 0.6 | "auto", "noise": [gain, offset, read_noise] | null,
        "residual": "1" | "0.5" | "lossless" | "none"}}

``rate`` "auto" and ``noise`` null are measured in each chunk. They decide how chunks are written; to read
them a chunk itself says all. A chunk that is written in part is decoded and coded again: write whole chunks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin

from napari_rdpdenoise.store import CODEC_NAME
from napari_rdpdenoise.store.view import StoredLayer, View, current_view

if TYPE_CHECKING:
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.indexing import SelectorTuple

    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.store.tile.terms import Residual

__all__ = ["NAMES", "RdpDenoiseCodec"]

NAMES = (CODEC_NAME, "rdpdenoise")
"""Names of the codec: that which is written, and a short one that is read as well."""

_RESIDUALS = ("1", "0.5", "lossless", "none")


@dataclass(frozen=True)
class RdpDenoiseCodec(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """Array to bytes by denoising.

    Attributes:
        model: Name or path of the model that encodes; empty for none, pixels are then kept as they are.
        digest: First 32 hexadecimal digits of the sha256 of its weights; empty for those of ``model`` here.
        rate: Bits that an image may keep, 0 (fewest) to 1, or "auto", chosen for each chunk: the fewest whose
            error is at most 2 % above the least.
        noise: Gain, offset and read noise, counts; None to measure them in each chunk.
        residual: How much of the original is kept: "1" or "0.5" (steps, noise standard deviations),
            "lossless" or "none".
        realism: Realism of what is read, 0 to 1; None for what `store_view` or the environment says.
        layer: "denoised" or "original"; None as for realism. Both are written only where they are given.

    Raises:
        ValueError: If one of them is something else.
    """

    model: str = "default"
    digest: str = ""
    rate: float | str = "auto"
    noise: tuple[float, float, float] | None = None
    residual: str = "none"
    realism: float | None = None
    layer: StoredLayer | None = None

    is_fixed_size = False

    def __post_init__(self) -> None:
        if self.residual not in _RESIDUALS:
            raise ValueError(f"residual: expected one of {', '.join(_RESIDUALS)}, found {self.residual!r}")
        if self.rate != "auto" and not (isinstance(self.rate, int | float) and 0 <= self.rate <= 1):
            raise ValueError(f"rate: expected a number from 0 to 1 or 'auto', found {self.rate!r}")
        if self.noise is not None:
            object.__setattr__(self, "noise", tuple(map(float, self.noise)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec of its entry in ``zarr.json``.

        Raises:
            ValueError: If it is that of another codec, or of a newer version.
        """
        known = {entry.name for entry in fields(cls)}
        given = data.get("configuration") or {}
        if data.get("name") not in NAMES or (further := set(given) - known):
            found = data.get("name") if data.get("name") not in NAMES else ", ".join(sorted(further))
            raise ValueError(
                f"codec: expected {CODEC_NAME} with {', '.join(sorted(known))}, found {found}; update "
                "napari-rdpdenoise"
            )
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Its entry in ``zarr.json``."""
        view = {"realism": self.realism, "layer": self.layer}
        return {
            "name": CODEC_NAME,
            "configuration": {
                "model": self.model,
                "digest": self.digest,
                "rate": self.rate,
                "noise": None if self.noise is None else list(self.noise),
                "residual": self.residual,
                **{name: value for name, value in view.items() if value is not None},
            },
        }

    def viewed(self, view: View) -> RdpDenoiseCodec:
        """The codec that reads in this way, whatever is chosen around it."""
        return replace(self, realism=view.realism, layer=view.layer)

    def found_in(self, array: Path) -> None:
        """Hear in which folder an array of this codec lies: it may hold the model."""
        from napari_rdpdenoise.store.embedded import found_at

        found_at(self.digest, array)

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse an array that is no image."""
        from napari_rdpdenoise.io.source import check_dtype

        check_dtype(dtype.to_native_dtype())
        if len(shape) < 2:
            raise ValueError(f"shape: expected at least 2 dimensions (rows, columns), found {shape}")

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before."""
        raise NotImplementedError

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        view = current_view(self.realism, self.layer)
        return await asyncio.to_thread(self._decode, chunk_data, chunk_spec, view)

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: SelectorTuple, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        """What is selected of a chunk: all of its bytes are read, and the network computes what is needed."""
        data = await byte_getter.get(prototype=chunk_spec.prototype)
        if data is None:
            return None
        view = current_view(self.realism, self.layer)
        return await asyncio.to_thread(self._decode, data, chunk_spec, view, selection)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode, chunk_data, chunk_spec)

    def _decode(self, chunk_data: Buffer, spec: ArraySpec, view: View, selection: Any = None) -> NDBuffer:
        from napari_rdpdenoise.store.chunk import decode_chunk
        from napari_rdpdenoise.store.selection import part_of

        dtype = spec.dtype.to_native_dtype()
        native = dtype.newbyteorder("=")
        selection = () if selection is None else selection if isinstance(selection, tuple) else (selection,)
        part = part_of(spec.shape, selection)
        pixels = decode_chunk(chunk_data.to_bytes(), spec.shape, native, spec.fill_value, view, part)
        pixels = np.asarray(pixels[selection])
        return spec.prototype.nd_buffer.from_numpy_array(pixels.astype(dtype, copy=False))

    def _encode(self, chunk_data: NDBuffer, spec: ArraySpec) -> Buffer:
        from napari_rdpdenoise.store.chunk import encode_chunk, plain_chunk

        pixels = np.asarray(chunk_data.as_numpy_array())
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False).reshape(spec.shape)
        if not self.model:
            data = plain_chunk(pixels)
        else:
            settings, residual = self._settings(max(spec.shape[-2:])), cast("Residual", self.residual)
            data = encode_chunk(pixels, settings, residual, spec.fill_value, self._codec())
        return spec.prototype.buffer.from_bytes(data)

    def _settings(self, edge: int) -> RunSettings:
        from napari_rdpdenoise.settings import RunSettings
        from napari_rdpdenoise.tiles import GRID

        rate = "compact" if self.rate == "auto" else self.rate
        tile = -(-edge // GRID) * GRID
        return RunSettings(rate=rate, camera=self.noise, tile=tile, halo=0, precision="float32")

    def _codec(self) -> Codec:
        from napari_rdpdenoise.codec.device import shared_codec
        from napari_rdpdenoise.store.chunk import load_codec, remember

        if self.digest:
            return load_codec(self.digest, self.model)
        codec = shared_codec(self.model, "auto").at("float32")
        remember(codec)
        return codec


def register() -> None:
    """Make the codec known to Zarr where the package is used without having been installed."""
    from zarr.registry import get_codec_class, register_codec

    for name in NAMES:
        try:
            get_codec_class(name)
        except KeyError:
            register_codec(name, RdpDenoiseCodec)
