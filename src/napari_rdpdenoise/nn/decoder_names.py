"""Decoders by name, and the one refusal of a decoder that a model does not have. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable

FIDELITY, REALISM, FLOW = "fidelity", "realism", "flow"
PATH = (FIDELITY, REALISM)
"""Decoders at the two ends of the realism slider, unless another natural end is asked for."""


class DecoderMissing(ValueError):
    """A decoder was asked for that the model does not have.

    Args:
        name: Name of the decoder.
        has: Names of those that there are.
        model: Who lacks it, as a subject of a sentence.
        found: Realism that asked for the realism decoder; None where it was asked for by name.
    """

    def __init__(
        self, name: str, has: Iterable[str], model: str = "this model", found: float | None = None
    ) -> None:
        there = ", ".join(has)
        expected, instead = ("0", "realism 0") if found is not None else (f"one of {there}", there)
        given = name if found is None else f"{found:g}"
        super().__init__(
            f"{name}: {lacks(name, model)}, expected {expected}, found {given}; use {instead} or a model "
            "with that decoder (napari-rdpdenoise models lists them)"
        )


def lacks(name: str, model: str = "this model") -> str:
    """Say that a model has no decoder of this name."""
    return f"{model} has no {name} decoder"


def check_decoders(
    names: Iterable[str], has: Iterable[str], model: str = "this model", found: float | None = None
) -> None:
    """Refuse decoders that are not there; arguments as for `DecoderMissing`.

    Raises:
        DecoderMissing: If one of the names is not among ``has``.
    """
    there = tuple(has)
    for name in names:
        if name not in there:
            raise DecoderMissing(name, there, model, found if name == REALISM else None)


def on_path(realism: float, natural: str = REALISM) -> tuple[str, ...]:
    """Names of the decoders that are needed at this realism: one alone costs half as much.

    Args:
        realism: Position of the slider, 0 to 1.
        natural: Name of the decoder at its upper end.
    """
    return (FIDELITY, natural) if realism > 0 else (FIDELITY,)
