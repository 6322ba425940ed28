"""Settings of a run as a store takes them. Loads no torch."""

from __future__ import annotations

from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.tile.terms import MARGIN
from napari_rdpdenoise.tiles import regular_tile

__all__ = ["TILE", "check_settings", "fitting", "store_settings"]

TILE = 2048
"""Edge of the largest plane that is one chunk, px; larger ones are cut into tiles of it."""

_NOT_IN_A_STORE = {
    "realism": "it is chosen when a store is read",
    "ensemble": "a store holds the latents of each tile once",
}

# Settings that a store has no use for: what is wanted of a decode, and in which file.
_LEFT_OUT = (
    "realism", "decoder", "steps", "samples", "rho", "kd", "kp", "quantity", "ensemble", "dtype",
    "output_format",
)  # fmt: skip


def check_settings(settings: RunSettings) -> None:
    """Refuse settings that a store has no use for.

    Raises:
        ValueError: If something else than the image is asked for, in another number type, or with realism.
    """
    for field, expected in (("quantity", "image"), ("realism", 0.0), ("dtype", "input"), ("ensemble", 1)):
        if (found := getattr(settings, field)) != expected:
            why = _NOT_IN_A_STORE.get(field, "a store holds the image")
            raise ValueError(
                f"{field}: expected {expected!r} for a store, found {found!r}; {why}: leave it out"
            )
    if settings.halo > MARGIN:
        raise ValueError(f"halo: expected at most {MARGIN} pixels for a store, found {settings.halo}")


def store_settings(settings: RunSettings) -> RunSettings:
    """Settings of a store from those of any run: what is chosen when it is read is left out.

    Tiles, which are its chunks, are as large as a store's usually are, unless another size was chosen.
    """
    usual = RunSettings()
    left_out = {name: getattr(usual, name) for name in _LEFT_OUT}
    tile = TILE if settings.tile == usual.tile else settings.tile
    return settings.replace(**left_out, tile=tile)


def fitting(settings: RunSettings, plane: tuple[int, ...]) -> RunSettings:
    """Settings as a store is made with.

    Its tiles are the chunks of a regular grid on ``plane``, rows and columns. It is made to be small: where
    the rate is to be chosen, bits count.
    """
    rate = "compact" if settings.rate == "auto" else settings.rate
    return settings.replace(tile=regular_tile(plane, settings.tile), rate=rate)
