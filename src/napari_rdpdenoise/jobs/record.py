"""Job files: which settings made a result, so that the same can be done again.

Every result that is written to a file has one beside it, ``RESULT.job.json``::

    napari_rdpdenoise   version
    input               path or URL; null for an image that was in memory only
    result              path; null if none was chosen
    model               name, and sha256 of its weights
    settings            `RunSettings`; a model of the library by its name there, another by its path
    report              what the run found, `RunReport`
    job                 identity of input, settings and model

A job that was saved without a run has the first five keys only. The settings alone (`RunSettings` as JSON)
are a job file too. Relative paths are meant from the job file's folder. Where a file names the digest of its
model, the model that its settings name here must have the same one.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.files import RECORD_SUFFIX, atomic
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.card import ModelCard
    from napari_rdpdenoise.codec.identity import KnownModel
    from napari_rdpdenoise.io import OutputSpec
    from napari_rdpdenoise.jobs.job import Job
    from napari_rdpdenoise.stream.report import RunReport

_SETTINGS = "settings"
# A record takes a few hundred bytes per channel; what is far larger is another file, chosen by mistake.
_LARGEST = 16 * 1024**2


@dataclass(frozen=True)
class JobFile:
    """What a job file says: settings, path or URL of the noisy image, path of the result; None for none."""

    settings: RunSettings
    input: str | None
    result: Path | None


def record_path(target: Path) -> Path:
    """The job file beside a result."""
    return target.with_name(target.name + RECORD_SUFFIX)


def record_text(job: Job, model: KnownModel, spec: OutputSpec, report: RunReport) -> str:
    """Text of the job file beside the result of a job.

    Raises:
        ValueError: If the job has no target.
    """
    if job.target is None:
        raise ValueError("job: expected a file as target, found none; a result in memory has no job file")
    found = {key: value for key, value in asdict(report).items() if key != "path"}
    return _as_text(
        {
            **_head(job.path, job.target.name, is_pattern=job.settings.stack is not None),
            **_how(job.settings, model.card),
            "report": _finite(found),
            "job": spec.job,
        }
    )


def read_report(path: Path) -> RunReport:
    """Read what the run of a job file found.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else, or was saved without a run.
    """
    from napari_rdpdenoise.stream.report import RunReport

    found = _read(path).get("report")
    if not isinstance(found, dict):
        raise ValueError(f"job: expected the report of a run, found none in {path}; denoise the image again")
    known = {key: math.nan if value is None else value for key, value in found.items()}
    try:
        return TypeAdapter(RunReport).validate_python({**known, "path": None})
    except ValidationError as error:
        raise ValueError(f"job: expected the report of a run, found another in {path}\n{error}") from None


def write_job(
    path: Path, settings: RunSettings, source: str | None = None, target: str | None = None
) -> Path:
    """Write a job file without a run, and return its path; a file that exists is replaced.

    ``source`` is path or URL of the noisy image; None, or what is no file, for an image in memory. ``target``
    is None where no place of the result was chosen.

    Raises:
        FileNotFoundError: If there is no such model.
        OSError: If it cannot be written.
        ValueError: If the model cannot be used.
    """
    from napari_rdpdenoise.codec.library import find

    result = None if target is None else str(Path(target).resolve())
    return _write(path, {**_head(source, result), **_how(settings, find(settings.model).card)})


def read_settings(path: Path) -> RunSettings:
    """Read the settings of a job file; raises as `read_job` does."""
    return read_job(path).settings


def read_job(path: Path, model: str | None = None) -> JobFile:
    """Read a job file, or settings alone.

    What the file, of `write_record` or `write_job`, or `RunSettings` as JSON, does not name takes its
    default. ``model`` is name or path of a model in place of the file's; without it, the model here must have
    the digest that the file names.

    Raises:
        FileNotFoundError: If there is no such file, or its model is not here.
        ValueError: If it is something else, a setting is not as described, or the model of its name here has
            another digest.
    """
    content = _read(path)
    settings = content.get(_SETTINGS, content)
    if not isinstance(settings, dict) or not set(settings) & set(RunSettings.model_fields):
        raise ValueError(
            f"job: expected a job file with run settings, found other JSON in {path}; "
            "choose a RESULT.job.json, or one that 'Save job' wrote"
        )
    named = content if _SETTINGS in content else {}
    source, result = _text(named, "input", path), _text(named, "result", path)
    if source is not None and "://" not in source:
        source = str(path.parent / source)
    try:
        checked = RunSettings.model_validate_json(json.dumps(settings))
    except ValidationError as error:
        raise ValueError(_refusal(path, error)) from None
    if model is not None:
        checked = checked.replace(model=model)
    else:
        _check_model(checked.model, named.get("model"), path)
    return JobFile(checked, source, None if result is None else path.parent / result)


def with_model_named(settings: RunSettings, card: ModelCard) -> RunSettings:
    """Settings with the name that their model has in the library here, however it was given.

    A card of a model that is found by no name keeps what was given.
    """
    from napari_rdpdenoise.codec.library import find

    with suppress(OSError, ValueError):  # a model in hand may have come from elsewhere
        return settings.replace(model=find(settings.model, card.sha256).key)
    return settings


def same_job(target: Path, spec: OutputSpec) -> bool:
    """Whether the same input, settings and model made a result.

    Its job file says so, or the result itself where that is not beside it any more.
    """
    from napari_rdpdenoise.io.output.sink import job_inside

    try:
        text = record_path(target).read_text(encoding="utf-8")
    except FileNotFoundError:
        return bool(spec.job) and job_inside(target) == spec.job
    except OSError:
        return False
    try:
        return bool(json.loads(text)["job"] == spec.job)
    except (ValueError, KeyError, TypeError):
        return False


def _head(source: str | None, result: str | None, *, is_pattern: bool = False) -> dict[str, Any]:
    place = str(Path(source).resolve()) if is_pattern and source else _place(source)
    return {"napari_rdpdenoise": __version__, "input": place, "result": result}


def _how(settings: RunSettings, card: ModelCard) -> dict[str, Any]:
    model = {"name": card.name, "sha256": card.sha256}
    return {"model": model, _SETTINGS: json.loads(with_model_named(settings, card).model_dump_json())}


def _check_model(model: str, named: Any, path: Path) -> None:
    """Refuse a file whose model is another one here, or is not here; one without a digest takes any."""
    digest = named.get("sha256") if isinstance(named, dict) else None
    if digest is None:
        return
    if not isinstance(digest, str):
        raise ValueError(f"job: expected text as sha256 of the model in {path}, found {digest!r}; correct it")
    from napari_rdpdenoise.codec.library import find

    try:
        find(model, digest)
    except (OSError, ValueError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(
            f"job: the model of {path} is not here. {error}. Beside a job file, --model NAME or "
            "read_job(path, model=NAME) takes another"
        ) from None


def _place(source: str | None) -> str | None:
    if source is None or "://" in source:
        return source
    return str(Path(source).resolve()) if Path(source).exists() else None


def _write(path: Path, content: dict[str, Any]) -> Path:
    with atomic(path) as fresh:
        fresh.write_text(_as_text(content), encoding="utf-8")
    return path


def _as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"job: expected a job file, found none at {path}; check the path")
    what = f"job: expected a job file of JSON, found another kind of file at {path}"
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{what}, with more than {_LARGEST // 1024**2} MiB; choose a RESULT.job.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} ({type(error).__name__}); choose a RESULT.job.json") from None
    if not isinstance(content, dict):
        raise ValueError(f"{what}, a JSON {type(content).__name__}; choose a RESULT.job.json")
    return content


def _text(content: dict[str, Any], key: str, path: Path) -> str | None:
    value = content.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"job: expected a path as {key} in {path}, found {value!r}; correct or remove it")
    return value or None


def _refusal(path: Path, error: ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in item['loc'][:1])}: "
        f"{item['msg'].removeprefix('Value error, ')}, found {item['input']!r}"
        for item in error.errors()
    ]
    return f"job: expected the settings of a run, found in {path}\n" + "\n".join(lines)


def _finite(value: Any) -> Any:
    """The same with None in place of what JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
