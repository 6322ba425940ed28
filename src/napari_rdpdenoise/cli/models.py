"""``napari-rdpdenoise models``: those that are shipped, and the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from napari_rdpdenoise.cli.console import guarded, say, stdout
from napari_rdpdenoise.nn.decoder_names import REALISM, lacks

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.library import ListedModel


def models() -> None:
    """List the models, shipped and yours, and what their cards say."""
    with guarded():
        from napari_rdpdenoise.codec import library
        from napari_rdpdenoise.files import models_folder

        found, unusable = library.list_models(), library.unusable_models()
        meant = {
            library.DEFAULT_MODEL: "default",
            library.GPU_MODEL: "default on a GPU",
            library.COLOUR_MODEL: "default for pictures in colour",
        }
        for model in found:
            about = "yours" if model.where == "yours" else meant.get(model.name, "")
            stdout.print(_table(model, about))
        for bad in unusable:
            say(f"{bad.name} ({bad.where}) cannot be used: {bad.reason}")
        if not any(model.where == "shipped" for model in found):
            raise RuntimeError(f"no model is shipped in {library.MODELS_FOLDER}; install the package again")
        say(f"models of your own are found by name in {models_folder()}, others by --model FOLDER")


def _table(model: ListedModel, about: str) -> Table:
    card = model.card
    title = f"{model.name} ({about})" if about else model.name
    table = Table(show_header=False, title=title, title_justify="left")
    hidden = model.key != model.name
    rows = {
        **({"found by": f"{model.key} (the name alone is a shipped model)"} if hidden else {}),
        "what": card.description,
        "realism": "0..1" if REALISM in card.network.decoders else f"0 only: {lacks(REALISM)}",
        "decoders": ", ".join(card.network.decoders),
        "licence": card.licence,
        "sha256": card.sha256,
        **{f"training: {key}": _text(value) for key, value in card.training.items()},
        **{f"measured: {key}": _text(value) for key, value in card.measured.items()},
        **({"limitations": "\n".join(card.limitations)} if card.limitations else {}),
    }
    for key, text in rows.items():
        table.add_row(Text(key, no_wrap=True), Text(text, overflow="fold"))
    return table


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(_text(item) for item in value)
    return str(value)
