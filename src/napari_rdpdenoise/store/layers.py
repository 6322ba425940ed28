"""Layers of a stored tile: arrays <-> bytes, by the coders of well-kept libraries.

Steps of a residual are noise: their entropy is all there is to save, and Huffman codes of pairs come within
two hundredths of it, at a hundred megapixels per second. ``k`` from -7 to 7 is half a byte, 15 an escape;
escapes follow as 32-bit integers. Bytes are deflated with runs only: noise has no repetitions to search for,
and unchanged areas are runs.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.store.container import StoreError

RESIDUAL = "R"
"""Original minus fidelity decode, in steps of the noise."""
STRUCTURE = "S"
"""What of the residual returns to the denoised image, in steps of the noise."""
SHARE = "W"
"""Share of the residual that returns, on a grid."""
TEXTURE = "T"
"""Texture of some frequencies that returns to the denoised image, in steps of the noise."""
LOSSLESS = "L"
"""The original itself."""
EXACT = "X"
"""Pixels that come out as they went in."""

GRID = 8
"""Pixels of an edge of the grid on which shares are kept."""

IMAGE, REPLACED, KEPT = 0, 1, 2
"""Pixels that are coded; that are exact in the original only, hot ones; that are exact in both."""

_HALF, _ESCAPE = 7, 15  # largest step in half a byte, and what stands for all others
_ESCAPES = struct.Struct("<I")
_JPEGXL, _BLOSC = b"J", b"B"
_JPEGXL_TYPES: dict[int, Any] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}
_JPEGXL_EFFORT = 5  # 5 % smaller than 3, and as fast as a network encodes on one core
_LARGEST_STEP = 2**31 - 1
_SHARES = 255


def pack_steps(steps: NDArray[np.int32]) -> bytes:
    """Bytes of small integers (2-D)."""
    flat = steps.ravel()
    outside = (flat < -_HALF) | (flat > _HALF)
    halves = np.where(outside, _ESCAPE, flat + _HALF).astype(np.uint8)
    if halves.size % 2:
        halves = np.append(halves, np.uint8(_HALF))
    escapes = flat[outside].astype("<i4")
    rest = zlib.compress(escapes.tobytes(), 6) if escapes.size else b""
    pairs = _deflate((halves[::2] << 4) | halves[1::2])
    return _ESCAPES.pack(escapes.size) + _ESCAPES.pack(len(pairs)) + pairs + rest


def unpack_steps(data: bytes, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Inverse of `pack_steps`.

    Raises:
        StoreError: If the bytes are not of that shape.
    """
    count = shape[0] * shape[1]
    if len(data) < 2 * _ESCAPES.size:
        raise _damaged("steps")
    (escaped,), (size,) = _ESCAPES.unpack_from(data), _ESCAPES.unpack_from(data, _ESCAPES.size)
    at = 2 * _ESCAPES.size
    pairs = _inflate(data[at : at + size], (count + 1) // 2, "steps", -zlib.MAX_WBITS)
    halves = np.empty(2 * pairs.size, np.uint8)
    halves[::2], halves[1::2] = pairs >> 4, pairs & 15
    steps = halves[:count].astype(np.int32) - _HALF
    outside = halves[:count] == _ESCAPE
    if np.count_nonzero(outside) != escaped or escaped > count:
        raise _damaged("steps")
    if escaped:
        steps[outside] = _inflate(data[at + size :], 4 * escaped, "steps").view("<i4")
    return steps.reshape(shape)


def to_steps(values: NDArray[np.floating], step: float) -> NDArray[np.int32]:
    """Values in whole steps, the nearest."""
    return np.clip(np.rint(values / step), -_LARGEST_STEP, _LARGEST_STEP).astype(np.int32)


def pack_share(share: NDArray[np.float32]) -> bytes:
    """Bytes of a smooth map of shares, 0 to 1 (2-D): means of its blocks."""
    rows, columns = (np.arange(0, n, GRID) for n in share.shape)
    sums = np.add.reduceat(np.add.reduceat(share, rows, axis=0), columns, axis=1)
    heights, widths = (np.diff([*starts, n]) for starts, n in zip((rows, columns), share.shape, strict=True))
    means = sums / (heights[:, None] * widths[None, :])
    return zlib.compress(np.rint(means * _SHARES).clip(0, _SHARES).astype(np.uint8).tobytes(), 9)


def unpack_share(data: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Shares, 0 to 1, float32 (2-D), linear between the middles of the blocks of `pack_share`.

    Raises:
        StoreError: If the bytes are not of that shape.
    """
    blocks = tuple(-(-n // GRID) for n in shape)
    grid = _inflate(data, blocks[0] * blocks[1], "shares").reshape(blocks).astype(np.float32) / _SHARES
    rows, columns = (_between(n, m) for n, m in zip(shape, blocks, strict=True))
    return np.asarray(_along(_along(grid, rows, 0), columns, 1), np.float32)


def _between(length: int, blocks: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Block before each pixel, and how far it is on the way to the next one."""
    place = ((np.arange(length) + 0.5) / GRID - 0.5).clip(0, blocks - 1)
    before = np.minimum(place.astype(np.intp), max(blocks - 2, 0))
    return before, (place - before).astype(np.float32)


def _along(
    grid: NDArray[np.float32], place: tuple[NDArray[np.intp], NDArray[np.float32]], axis: int
) -> NDArray[np.float32]:
    before, way = place
    after = np.minimum(before + 1, grid.shape[axis] - 1)
    way = way.reshape((-1, 1) if axis == 0 else (1, -1))
    low = grid.take(before, axis)
    return low + way * (grid.take(after, axis) - low)


def pack_exact(classes: NDArray[np.uint8], values: NDArray[Any]) -> bytes:
    """Bytes of pixels that are kept.

    Args:
        classes: `IMAGE`, `REPLACED` or `KEPT` for each pixel (2-D).
        values: Counts, same shape; those of images do not matter.
    """
    chosen = np.ascontiguousarray(values[classes != IMAGE])
    where = zlib.compress(classes.tobytes(), 6)
    data = zlib.compress(chosen.astype(chosen.dtype.newbyteorder("<")).tobytes(), 6)
    return _ESCAPES.pack(chosen.size) + _ESCAPES.pack(len(where)) + where + data


def unpack_exact(
    data: bytes, shape: tuple[int, ...], dtype: np.dtype
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Classes (2-D) and counts of those that are no image (1-D, row after row); inverse of `pack_exact`.

    Raises:
        StoreError: If the bytes are not of that shape and type.
    """
    if len(data) < 2 * _ESCAPES.size:
        raise _damaged("exact pixels")
    (count,), (size,) = _ESCAPES.unpack_from(data), _ESCAPES.unpack_from(data, _ESCAPES.size)
    at, pixels = 2 * _ESCAPES.size, shape[0] * shape[1]
    classes = _inflate(data[at : at + size], pixels, "exact pixels").reshape(shape)
    if count > pixels or np.count_nonzero(classes) != count or (count and classes.max() > KEPT):
        raise _damaged("exact pixels")
    values = _inflate(data[at + size :], count * dtype.itemsize, "exact pixels")
    return classes, values.view(dtype.newbyteorder("<")).astype(dtype)


def pack_lossless(image: NDArray[Any]) -> bytes:
    """Bytes of an image (2-D), losslessly: JPEG XL of 8- and 16-bit integers, Blosc of others."""
    import imagecodecs
    from numcodecs import Blosc

    kind = _JPEGXL_TYPES.get(image.dtype.itemsize) if image.dtype.kind in "iu" else None
    if kind is not None and imagecodecs.JPEGXL.available:
        # signed ones from the least upwards: JPEG XL has no negative values
        unsigned = np.ascontiguousarray(image).view(kind) ^ _sign(image.dtype)
        return _JPEGXL + bytes(
            imagecodecs.jpegxl_encode(unsigned, lossless=True, effort=_JPEGXL_EFFORT, numthreads=1)
        )
    plain = np.ascontiguousarray(image).astype(image.dtype.newbyteorder("<"), copy=False)
    return _BLOSC + bytes(Blosc("zstd", 5, Blosc.BITSHUFFLE).encode(plain))


def unpack_lossless(data: bytes, shape: tuple[int, ...], dtype: np.dtype) -> NDArray[Any]:
    """Inverse of `pack_lossless`.

    Raises:
        StoreError: If the bytes are not of that shape and type.
    """
    out = np.empty(shape, dtype.newbyteorder("<"))
    try:
        if data[:1] == _JPEGXL:
            return _from_jpegxl(data[1:], out)
        if data[:1] == _BLOSC:
            return _from_blosc(data[1:], out)
    except StoreError:
        raise
    except Exception as error:  # each library has errors of its own
        raise StoreError(
            f"chunk: expected a lossless image of {shape} {dtype}, found damaged bytes ({error}); copy the "
            "store again"
        ) from error
    raise _damaged("lossless image")


def _from_jpegxl(data: bytes, out: NDArray[Any]) -> NDArray[Any]:
    import imagecodecs

    kind = _JPEGXL_TYPES.get(out.dtype.itemsize) if out.dtype.kind in "iu" else None
    if kind is None:
        raise _damaged("lossless image")
    unsigned = imagecodecs.jpegxl_decode(data, out=np.empty(out.shape, kind), numthreads=1)
    return (unsigned ^ _sign(out.dtype)).view(out.dtype.newbyteorder("="))


def _from_blosc(data: bytes, out: NDArray[Any]) -> NDArray[Any]:
    from numcodecs import Blosc

    if len(data) < 16 or int.from_bytes(data[4:8], "little") != out.nbytes:
        raise _damaged("lossless image")
    Blosc().decode(data, out=out)
    return out.astype(out.dtype.newbyteorder("="), copy=False)


def _sign(dtype: np.dtype) -> Any:
    """What turns signed integers of a type into unsigned ones of the same order, by exclusive or."""
    kind = _JPEGXL_TYPES[dtype.itemsize]
    return kind.type(1 << (8 * dtype.itemsize - 1) if dtype.kind == "i" else 0)


def _deflate(values: NDArray[Any]) -> bytes:
    coder = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return coder.compress(values.tobytes()) + coder.flush()


def _inflate(data: bytes, size: int, what: str, wbits: int = zlib.MAX_WBITS) -> NDArray[np.uint8]:
    """So many bytes and no more, whatever is promised."""
    inflating = zlib.decompressobj(wbits)
    try:
        found = inflating.decompress(data, size + 1)
    except zlib.error:
        raise _damaged(what) from None
    if len(found) != size or not inflating.eof or inflating.unused_data:
        raise _damaged(what)
    return np.frombuffer(found, np.uint8)


def _damaged(what: str) -> StoreError:
    return StoreError(f"chunk: expected {what} of the tile's size, found damaged bytes; copy the store again")
