"""How a store is read: which layer, and with how much realism. Loads nothing heavy.

What is chosen where a store is opened (`reading.open_store`) comes first, then `store_view`, then the
environment, then the denoised image at realism 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

__all__ = ["LAYER_VARIABLE", "REALISM_VARIABLE", "StoredLayer", "View", "current_view", "store_view"]

LAYER_VARIABLE = "RDPDENOISE_STORE_LAYER"
REALISM_VARIABLE = "RDPDENOISE_STORE_REALISM"

StoredLayer: TypeAlias = Literal["denoised", "original"]
"""The image as it was denoised, or as it was before, within a stated part of its noise."""


@dataclass(frozen=True)
class View:
    """What is read of a store.

    Attributes:
        realism: Realism of the denoised image, 0 to 1; of no meaning for the original.
        layer: "denoised" or "original".

    Raises:
        ValueError: If one of them is something else.
    """

    realism: float = 0.0
    layer: StoredLayer = "denoised"

    def __post_init__(self) -> None:
        if not 0 <= self.realism <= 1:
            raise ValueError(f"realism: expected a number from 0 to 1, found {self.realism}")
        if self.layer not in get_args(StoredLayer):
            raise ValueError(f"layer: expected 'denoised' or 'original', found {self.layer!r}")


_CHOSEN: ContextVar[View | None] = ContextVar("rdpdenoise_store_view", default=None)


def current_view(realism: float | None = None, layer: StoredLayer | None = None) -> View:
    """What is to be read, from what is given here, else by `store_view`, else by the environment.

    Args:
        realism: Realism of the denoised image, 0 to 1; None where it is not given.
        layer: "denoised" or "original"; None where it is not given.

    Raises:
        ValueError: If one of them, or a variable of the environment, is something else.
    """
    around = _CHOSEN.get() or _of_environment()
    return replace(
        around,
        realism=around.realism if realism is None else realism,
        layer=around.layer if layer is None else layer,
    )


@contextmanager
def store_view(realism: float | None = None, layer: StoredLayer | None = None) -> Iterator[View]:
    """Read all stores in this way inside the context, in this thread and in what zarr starts from it.

    Threads of dask do not know of it: choose where the store is opened, or in the environment.

    Args:
        realism: Realism of the denoised image, 0 to 1; None for what is chosen outside.
        layer: "denoised" or "original"; None for what is chosen outside.

    Raises:
        ValueError: If one of them is something else.
    """
    token = _CHOSEN.set(current_view(realism, layer))
    try:
        yield current_view()
    finally:
        _CHOSEN.reset(token)


def _of_environment() -> View:
    text = os.environ.get(REALISM_VARIABLE, "") or "0"
    layer = os.environ.get(LAYER_VARIABLE, "") or "denoised"
    try:
        return View(float(text), cast("StoredLayer", layer))
    except ValueError:
        raise ValueError(
            f"{REALISM_VARIABLE}, {LAYER_VARIABLE}: expected a number from 0 to 1 and 'denoised' or "
            f"'original', found {text!r} and {layer!r}; change or unset them"
        ) from None
