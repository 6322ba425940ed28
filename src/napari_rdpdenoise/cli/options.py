"""Command line options made from the fields of `RunSettings`: name, type, default and help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from functools import wraps
from types import NoneType
from typing import Any, TypeVar, get_args

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from napari_rdpdenoise.fields import choices_of, flag_of, marks_of
from napari_rdpdenoise.settings import RunSettings

Command = Callable[..., None]
Model = TypeVar("Model", bound=BaseModel)

# What a command line writes in another way than Python: type and placeholder.
_WRITTEN: dict[str, tuple[Any, str]] = {
    "rate": (str, "auto|compact|0..1"),
    "invalid": (str, "auto|none|VALUE|MASK"),
    "channels": (list[int] | None, "C"),
    "series": (str | None, "N|all"),
    "time": (str | None, "A:B"),
    "part": (str | None, "I/N"),
    "scheduler": (str | None, "ADDRESS|local:N"),
}


def flag(field: str) -> str:
    """The option of a settings field, such as ``--rate``."""
    return flag_of(RunSettings, field)


def with_fields(
    model: type[BaseModel], *fields: str, also: Sequence[type[BaseModel]] = ()
) -> Callable[[Command], Command]:
    """Give a command the options of some fields of any settings, all of them if none is named.

    The command takes their values by field name as its first argument, for `make_settings` or `validated`.
    Those of ``also``, all of them, come beside.
    """
    named = [(model, field) for field in fields or model.model_fields]
    named += [(other, field) for other in also for field in other.model_fields]
    chosen = [field for _, field in named]

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        parameters = [*own, *(_parameter(owner, field) for owner, field in named)]

        @wraps(command)
        def run(**values: Any) -> None:
            given = {field: values.pop(field) for field in chosen}
            command(given, **values)

        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def written(context: typer.Context) -> set[str]:
    """Names of the parameters that the command line names itself, in place of their defaults."""
    sources = ((name, context.get_parameter_source(name)) for name in context.params)
    return {name for name, source in sources if source is not None and "DEFAULT" not in source.name}


def make_settings(given: dict[str, Any], base: RunSettings | None = None) -> RunSettings:
    """Settings of a run from option values by field name, as typer has them; others are those of ``base``.

    Raises:
        ValueError: If an option is not as described; the message names each.
    """
    values = _plain(given)
    if values.get("time") is not None:
        values["time"] = parse_range(values["time"])
    if isinstance(series := values.get("series"), str) and series.isdecimal():
        values["series"] = int(series)
    if "channels" in values:
        values["channels"] = tuple(values["channels"]) if values["channels"] else None
    if values.get("axes"):
        values["axes"] = values["axes"].upper()
    try:
        return (base or RunSettings()).replace(**values)
    except ValidationError as error:
        raise ValueError(describe(error)) from None


def validated(model: type[Model], given: dict[str, Any]) -> Model:
    """Settings of any kind from option values by field name; raises as `make_settings` does."""
    try:
        return model.model_validate(_plain(given))
    except ValidationError as error:
        raise ValueError(describe(error)) from error


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, Enum) else value for name, value in given.items()}


def parse_range(text: str) -> tuple[int, int]:
    """``"3:7"`` as (3, 7), ``":7"`` as (0, 7).

    Raises:
        ValueError: If it is anything else.
    """
    first, colon, last = text.partition(":")
    try:
        if colon:
            return int(first or 0), int(last)
    except ValueError:
        pass
    raise ValueError(
        f"--time: expected A:B, the first time point and the one after the last, found {text!r}; "
        "write for example 0:10"
    )


def describe(error: ValidationError) -> str:
    """One line per setting that was refused: the option, what was expected, what was found, what it means."""
    lines = []
    for item in error.errors():
        name, message = str(next(iter(item["loc"]), "")), item["msg"].removeprefix("Value error, ")
        field = RunSettings.model_fields.get(name) if error.title == RunSettings.__name__ else None
        if field is None:
            lines.append(f"{'.'.join(map(str, item['loc']))}: {message}, found {item['input']!r}")
        elif item["type"] == "value_error":
            lines.append(f"{flag(name)}: {message}")
        else:
            lines.append(f"{flag(name)}: {message}, found {item['input']!r}; {field.description}")
    return "\n".join(lines)


def _parameter(model: type[BaseModel], name: str) -> inspect.Parameter:
    field = model.model_fields[name]
    annotation, metavar = _WRITTEN.get(name) or (_simple(name, field), None)
    default = field.default
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        default = annotation(default)
    marks = marks_of(field)
    option = typer.Option(
        default,
        flag_of(model, name),
        help=field.description,
        metavar=metavar,
        rich_help_panel="Expert options" if marks is not None and marks.group == "expert" else None,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)


def _simple(name: str, field: FieldInfo) -> Any:
    """The annotation as typer knows it: a choice of texts becomes an enumeration."""
    texts = choices_of(field)
    if texts is None:
        return field.annotation
    choice = Enum(name, {text: text for text in texts})  # type: ignore[misc]
    return choice | None if NoneType in get_args(field.annotation) else choice
