"""Whether a file holds what this package has denoised, by the job that it names. Knows no file format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from napari_rdpdenoise.names import shown

__all__ = ["denoised_words", "how_denoised"]


def denoised_words(how: str | None) -> str:
    """That an image was denoised already, in a sentence; empty for one that was not, see `how_denoised`."""
    if how is None:
        return ""
    by = f" ({how})" if how else ""
    return f"This image was denoised already{by}; to denoise it again is rarely wanted."


def how_denoised(job: object) -> str | None:
    """How an image was denoised, such as ``"fluo-light, rate 0.41"``; None where no job says that it was.

    Args:
        job: Job of a file (`OutputSpec.job`), as text or parsed: settings as JSON with identities after them,
            of a run; JSON with its role, of a layer that was saved. Stores, and what is no image, do not
            count.
    """
    content, identities = job, ""
    if isinstance(job, str):
        try:
            content, end = json.JSONDecoder().raw_decode(job)
        except (ValueError, RecursionError):
            return None
        identities = job[end:]
    if not isinstance(content, Mapping):
        return None
    settings, rate = content, content.get("rate")
    if content.get("role") == "result":
        settings = content.get("settings", {})
    elif not identities or "|store " in identities or not {"model", "quantity"} <= set(content):
        return None
    if not isinstance(settings, Mapping) or settings.get("quantity", "image") != "image":
        return None
    return ", ".join(filter(None, (_model_words(settings.get("model")), _rate_words(rate))))


def _model_words(model: Any) -> str:
    return shown(PurePath(model).name) if isinstance(model, str) and model != "default" else ""


def _rate_words(rate: Any) -> str:
    if rate in ("auto", "compact"):
        return "automatic rate"
    return f"rate {rate:.2f}" if isinstance(rate, int | float) else ""
