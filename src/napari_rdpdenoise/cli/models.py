"""``napari-rdpdenoise models``: what is shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from napari_rdpdenoise.cli.console import guarded, say, stdout

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.card import ModelCard


def models() -> None:
    """List the shipped models and what their cards say."""
    with guarded():
        from napari_rdpdenoise.codec import list_models
        from napari_rdpdenoise.codec.models import DEFAULT_MODEL, MODELS_FOLDER

        cards = list_models()
        if not cards:
            raise RuntimeError(f"no model is shipped in {MODELS_FOLDER}; install the package again")
        for card in cards:
            stdout.print(_table(card, card.name == DEFAULT_MODEL))
        say("a model of your own: --model FOLDER, as napari-rdpdenoise train writes it")


def _table(card: ModelCard, default: bool) -> Table:
    title = f"{card.name} (default)" if default else card.name
    table = Table(show_header=False, title=title, title_justify="left")
    rows = {
        "what": card.description,
        "realism": "0..1" if card.realism else "0 only: no realism decoder",
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
