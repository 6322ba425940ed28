"""What a field of settings says beside its type: what it decides in the result, its flag, its place in forms.

Command line, dock and the keys under which results are kept are made from these marks, so that a new field is
in all of them by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = [
    "Decides",
    "Marked",
    "Marks",
    "bound_of",
    "choices_of",
    "flag_of",
    "group_fields",
    "marks_of",
    "option_types",
]


class Decides(Enum):
    """What a field decides in the result."""

    DECODES = "the decoded images, from which realism blends"
    BLEND = "how the decoded images are blended"
    OUTPUT = "which pixels are written, and in which type"
    ROUNDING = "the last digits only"
    NOTHING = "no pixel"


@dataclass(frozen=True)
class Marks:
    """Mark of a field, given as `Annotated[type, Marks(...)]`.

    Attributes:
        decides: What the field decides in the result.
        group: Part of a form that shows it; None for no form.
        row: Its place in that group.
        flag: Its command line option; None for the field's name.
        unit: Unit of its number.
        most: Greatest number that a form offers, where the field has no bound.
    """

    decides: Decides
    group: Literal["advanced", "expert"] | None = None
    row: int = 0
    flag: str | None = None
    unit: str = ""
    most: int | None = None


class Marked(BaseModel, frozen=True, extra="forbid"):
    """Settings of which every field is marked.

    Raises:
        TypeError: At the definition of a class with a field that has no `Marks`.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **more: Any) -> None:
        """Refuse fields without marks."""
        super().__pydantic_init_subclass__(**more)
        for name, field in cls.model_fields.items():
            if marks_of(field) is None:
                raise TypeError(
                    f"{cls.__name__}.{name}: expected a mark of what the field decides, found none; "
                    "write for example Annotated[int, Marks(Decides.DECODES)]"
                )

    def deciding(self, *kinds: Decides) -> Self:
        """A copy for comparison: fields that decide one of these things, all others at their defaults.

        Args:
            *kinds: What shall be compared; without `Decides.BLEND` all values of realism are alike.
        """
        others = {
            name: field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if (marks := marks_of(field)) is None or marks.decides not in kinds
        }
        return self.model_copy(update=others)


def marks_of(field: FieldInfo) -> Marks | None:
    """The marks of a field; None where it has none."""
    return next((mark for mark in field.metadata if isinstance(mark, Marks)), None)


def flag_of(model: type[BaseModel], name: str) -> str:
    """The command line option of a field, such as ``--rate``."""
    marks = marks_of(model.model_fields[name])
    return marks.flag if marks is not None and marks.flag else f"--{name.replace('_', '-')}"


def group_fields(model: type[BaseModel], group: str) -> Iterator[tuple[str, FieldInfo]]:
    """Names and fields of one group of a form, in the order of its rows."""
    found = [
        (marks.row, name)
        for name, f in model.model_fields.items()
        if (marks := marks_of(f)) is not None and marks.group == group
    ]
    yield from ((name, model.model_fields[name]) for _, name in sorted(found))


def option_types(annotation: Any) -> tuple[Any, ...]:
    """The types that a field may have, without None."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return tuple(part for part in parts if part is not NoneType)


def bound_of(field: FieldInfo, kind: Literal["ge", "le", "multiple_of"]) -> Any:
    """A bound of a field's number; None where it has none."""
    return next((getattr(bound, kind) for bound in field.metadata if hasattr(bound, kind)), None)


def choices_of(field: FieldInfo) -> tuple[str, ...] | None:
    """The texts between which a field chooses; None where it is no choice."""
    first = option_types(field.annotation)[0]
    return get_args(first) if get_origin(first) is Literal else None
