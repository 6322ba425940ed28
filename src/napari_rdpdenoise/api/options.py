"""Settings that the calls take by name, for editors and type checkers: described in `RunSettings`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from numpy.typing import NDArray


class Options(TypedDict, total=False):
    """Fields of ``RunSettings`` that both calls take; described and checked there."""

    decoder: Literal["realism", "flow"]
    quantity: Literal["image", "error", "kept"]
    steps: int
    samples: int
    rho: float
    kd: float
    kp: float
    structure: Literal["auto", "none"]
    neighbours: Literal["auto", "none", "T", "Z", "S"]
    ensemble: int
    camera: tuple[float, float, float] | None
    hot_pixels: Literal["replace", "keep"]
    precision: Literal["auto", "float32", "bfloat16"]
    tile: int
    halo: int
    batch: int | None
    dtype: Literal["input", "float32", "auto"]
    channels: tuple[int, ...] | None
    time: tuple[int, int] | None
    seed: int


class ArrayOptions(Options, total=False):
    """Further fields of ``RunSettings`` that ``denoise`` takes; described and checked there."""

    invalid: float | Literal["auto", "none"] | NDArray[Any]


class FileOptions(Options, total=False):
    """Fields of ``RunSettings`` that ``denoise_file`` takes; described and checked there."""

    rate: float | Literal["auto", "compact"]
    invalid: float | str | NDArray[Any]
    realism: float
    axes: str | None
    series: int | None
    stack: Literal["T", "Z", "C"] | None
    device: Literal["auto", "cpu", "cuda", "mps"]
    overwrite: bool


class StoreOptions(TypedDict, total=False):
    """Fields of ``RunSettings`` that ``create_store`` and ``finish_store`` take; described there."""

    rate: float | Literal["auto", "compact"]
    structure: Literal["auto", "none"]
    neighbours: Literal["auto", "none", "T", "Z", "S"]
    camera: tuple[float, float, float] | None
    invalid: float | str | NDArray[Any]
    hot_pixels: Literal["replace", "keep"]
    precision: Literal["auto", "float32", "bfloat16"]
    tile: int
    halo: int
    batch: int | None
    channels: tuple[int, ...] | None
    time: tuple[int, int] | None
    seed: int
    axes: str | None
    series: int | None
    stack: Literal["T", "Z", "C"] | None
    device: Literal["auto", "cpu", "cuda", "mps"]
    overwrite: bool


class DividedStoreOptions(StoreOptions, total=False):
    """Further options that ``create_store`` takes: which part of the work is done, and where."""

    part: tuple[int, int] | None
    client: Any
