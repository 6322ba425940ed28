"""The library of models: the shipped ones and the user's own, found by name. Imports no torch.

A model's name is that of its folder. A name finds, in this order: the shipped model, so that a command does
the same on every machine; the user's own; a folder, as a path. ``"default"`` is shipped too: one model for
pictures in colour, one for all else, and for that a larger one where a GPU computes. A model of the user's
that bears a shipped name is therefore found by its path only, which the list says.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_rdpdenoise.axes import is_picture
from napari_rdpdenoise.codec.card import ModelCard, read_card
from napari_rdpdenoise.files import models_folder
from napari_rdpdenoise.names import exists

DEFAULT = "default"
DEFAULT_MODEL = "fluo-light"
GPU_MODEL = "fluo-base"
COLOUR_MODEL = "photo-light"
MODELS_FOLDER = Path(__file__).parent.parent / "models"
FORMAT_VERSION = 3  # the newest that can be read; see `NetworkConfig.format`
_DIGEST_DIGITS = 32  # hexadecimal, of sha256; those that `Codec.digest` and coded tiles carry

Where = Literal["shipped", "yours", "elsewhere"]


@dataclass(frozen=True)
class ListedModel:
    """A model on disk that can be used.

    Attributes:
        name: Name of its folder.
        folder: Folder with card.yaml and model.safetensors.
        where: "shipped", "yours" (in the user's folder of models) or "elsewhere".
        card: Card, which says what it is, from what it was made and what it measured.
    """

    name: str
    folder: Path
    where: Where
    card: ModelCard

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that tell its weights from all others."""
        return self.card.sha256[:_DIGEST_DIGITS]

    @property
    def key(self) -> str:
        """What `find` takes for it: its name or, where the name means another model, its path."""
        if self.where == "shipped" or (self.where == "yours" and not _is_shipped(self.name)):
            return self.name
        return str(self.folder)


@dataclass(frozen=True)
class UnusableModel:
    """A folder of that name among the models, shipped or yours, that cannot be used; the reason in words."""

    name: str
    where: Where
    reason: str


def list_models() -> tuple[ListedModel, ...]:
    """All models that can be used: the shipped ones, then the user's own, each by name.

    Reads their cards and no weights. Folders that cannot be used are left out.
    """
    return tuple(model for model in _all() if isinstance(model, ListedModel))


def unusable_models() -> tuple[UnusableModel, ...]:
    """Folders among the models that cannot be used, with reasons; one without any model is none of them."""
    return tuple(model for model in _all() if isinstance(model, UnusableModel))


def find(model: str | Path = DEFAULT, digest: str | None = None) -> ListedModel:
    """Find a model by its name, or one in a folder by its path.

    Args:
        model: ``"default"``, name of a shipped model or of one of the user's, or path of a model's folder.
        digest: First 32 hexadecimal digits, or all 64, of the sha256 that its weights must have; None: any.

    Raises:
        FileNotFoundError: If there is no such model, or its weights are missing.
        ValueError: If its card cannot be read, or its weights are not those of the digest.
    """
    wanted = digest.lower()[:_DIGEST_DIGITS] if digest else ""
    try:
        folder = model_folder(model)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_hint(wanted)}") from None
    found = ListedModel(folder.name, folder, _where(folder), _checked_card(folder))
    if wanted and found.digest != wanted:
        raise ValueError(
            f"model: expected {str(model)!r} with digest {wanted}, found {found.digest} in {folder}: another "
            "of that name, or trained further since; get the one of that digest, or give the name without a "
            f"digest to take this one{_hint(wanted)}"
        )
    return found


def rename_model(model: ListedModel, name: str) -> ListedModel:
    """Give one of the user's models another name, which is that of its folder.

    Raises:
        FileExistsError: If there is a model or file of that name.
        ValueError: If the model is not one of the user's, or no folder can have that name.
    """
    name = name.strip()
    if name in ("", ".", "..") or any(letter in name for letter in '/\\:*?"<>|'):
        raise ValueError(f'name: expected the name of a folder, found {name!r}; leave out / \\ : * ? " < > |')
    target = _own(model).folder.with_name(name)
    if target.exists() or _is_shipped(name):
        raise FileExistsError(f"name: expected a new one, found that there is a {name!r} already")
    model.folder.rename(target)
    return find(target)


def delete_model(model: ListedModel) -> None:
    """Delete one of the user's models, with all that lies in its folder; a ValueError refuses any other."""
    shutil.rmtree(_own(model).folder)


def _own(model: ListedModel) -> ListedModel:
    if model.where != "yours":
        raise ValueError(
            f"model: expected one in {models_folder()}, found {model.name}, which is "
            f"{'shipped' if model.where == 'shipped' else 'elsewhere'}; it stays as it is"
        )
    return model


def model_folder(model: str | Path = DEFAULT) -> Path:
    """Absolute path of a model's folder, by a name or path as `find` takes it; its card is not read.

    Raises:
        FileNotFoundError: If there is no such model.
    """
    name = DEFAULT_MODEL if model == DEFAULT else str(model)
    named = (MODELS_FOLDER / name, models_folder() / name) if Path(name).name == name else ()
    for folder in (*named, Path(name).resolve()):
        card = folder / "card.yaml"
        if exists(str(card)) and card.is_file():
            return folder.absolute()
    known = list_models()
    shipped, own = (
        ", ".join(m.key for m in known if m.where == where) or "none" for where in ("shipped", "yours")
    )
    raise FileNotFoundError(
        f"model: no model {str(model)!r}; expected one of the shipped ones ({shipped}), one of yours in "
        f"{models_folder()} ({own}), or a folder with card.yaml"
    )


def default_model(axes: str, shape: Sequence[int], device: str = "cpu") -> str:
    """Name of the model that ``"default"`` is for an image: that of photographs for a picture in colour.

    Args:
        axes: One letter per axis of the image, S for its colours.
        shape: Sizes of the axes.
        device: Device that computes, "cpu", "cuda" or "mps".
    """
    if is_picture(axes, shape):
        return picture_model()
    return GPU_MODEL if device != "cpu" and _is_shipped(GPU_MODEL) else DEFAULT_MODEL


def picture_model() -> str:
    """Name of the model that ``"default"`` is for pictures in colour: the usual one where that is missing."""
    return COLOUR_MODEL if _is_shipped(COLOUR_MODEL) else DEFAULT_MODEL


def model_digest(model: str | Path = DEFAULT) -> str:
    """`ListedModel.digest` of a model by name or path; empty if there is no such model."""
    try:
        return find(model).digest
    except FileNotFoundError:
        return ""


def _all() -> Iterator[ListedModel | UnusableModel]:
    yield from _listed(MODELS_FOLDER, "shipped")
    yield from _listed(models_folder(), "yours")


def _listed(root: Path, where: Where) -> Iterator[ListedModel | UnusableModel]:
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:  # there is none, or it is another user's
        return
    for folder in folders:
        try:
            if (folder / "card.yaml").exists() or (folder / "model.safetensors").exists():
                yield ListedModel(folder.name, folder, where, _checked_card(folder))
        except (OSError, ValueError) as error:
            yield UnusableModel(folder.name, where, str(error))


def _checked_card(folder: Path) -> ModelCard:
    card = read_card(folder)
    if card.format_version > FORMAT_VERSION:
        raise ValueError(
            f"model: {card.name} needs format {card.format_version}, this version reads up to "
            f"{FORMAT_VERSION}; update napari-rdpdenoise"
        )
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise FileNotFoundError(f"model: {weights} is missing; install the package again or train the model")
    return card


def _where(folder: Path) -> Where:
    root = folder.parent.resolve()
    if root == MODELS_FOLDER.resolve():
        return "shipped"
    return "yours" if root == models_folder().resolve() else "elsewhere"


def _is_shipped(name: str) -> bool:
    return name == DEFAULT or (MODELS_FOLDER / name / "card.yaml").is_file()


def _hint(digest: str) -> str:
    """Where the model of a digest is found instead; empty if it is not here."""
    same = [other.key for other in list_models() if other.digest == digest]
    return f"; the model of that digest is here as {same[0]!r}: choose it" if same else ""
