"""Run settings: validated once, replaced and written without loss."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise import tiles
from napari_rdpdenoise.fields import Decides, Marks, flag_of, group_fields, marks_of
from napari_rdpdenoise.settings import DECODED, RESULT, RunSettings

grid = st.integers(2, 64).map(lambda n: n * tiles.GRID)
valid = st.fixed_dictionaries(
    {},
    optional={
        "model": st.text(min_size=1, max_size=12),
        "rate": st.floats(0, 1) | st.sampled_from(["auto", "compact"]),
        "realism": st.floats(0, 1),
        "axes": st.none() | st.permutations("TZCYX").map("".join),
        "series": st.none() | st.just("all") | st.integers(0, 9),
        "stack": st.sampled_from([None, "T", "Z", "C"]),
        "dtype": st.sampled_from(["input", "float32"]),
        "tile": grid,
        "halo": grid,
        "batch": st.none() | st.integers(1, 64),
        "device": st.sampled_from(["auto", "cpu", "cuda", "mps"]),
        "precision": st.sampled_from(["auto", "float32", "bfloat16"]),
        "channels": st.none() | st.lists(st.integers(0, 9), min_size=1, unique=True).map(tuple),
        "time": st.none() | st.tuples(st.integers(0, 9), st.integers(10, 20)),
        "seed": st.integers(0, 2**31),
        "overwrite": st.booleans(),
        "output_format": st.sampled_from([None, "ome-zarr", "ome-tiff"]),
    },
)


@given(valid)
def test_json_keeps_all_values(values: dict) -> None:
    made = RunSettings(**values)
    assert {name: getattr(made, name) for name in values} == values
    assert RunSettings.model_validate_json(made.model_dump_json()) == made


@given(valid, valid)
def test_equal_settings_give_equal_text(first: dict, second: dict) -> None:
    one, two = RunSettings(**first), RunSettings(**second)
    assert (one.model_dump_json() == two.model_dump_json()) == (one == two)


@given(valid, valid)
def test_replace_changes_what_is_named_and_nothing_else(values: dict, changes: dict) -> None:
    before = RunSettings(**values)
    after = before.replace(**changes)
    assert after == RunSettings(**{**values, **changes})
    assert before == RunSettings(**values)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RunSettings().rate = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", -0.1, r"rate must be a number from 0 to 1, 'auto' or 'compact', got -0.1; use 'auto'"),
        ("rate", "best", r"rate must be .* got 'best'"),
        ("rate", float("nan"), r"rate must be .* got nan"),
        ("realism", 1.5, r"realism\n.*less than or equal to 1"),
        ("realism", float("nan"), r"realism\n"),
        ("axes", "TYY", r"axes must be different upper-case letters .* got 'TYY'; write"),
        ("axes", "tyx", r"axes must be .* got 'tyx'"),
        ("axes", "TZC", r"axes must be .* got 'TZC'"),
        ("axes", "", r"axes must be .* got ''"),
        ("dtype", "uint8", r"dtype\n.*'input', 'float32' or 'auto'"),
        ("tile", 100, r"tile\n.*multiple of 64"),
        ("tile", 0, r"tile\n.*greater than or equal to 64"),
        ("halo", -64, r"halo\n.*greater than or equal to 0"),
        ("halo", 40, r"halo\n.*multiple of 64"),
        ("batch", 0, r"batch\n"),
        ("device", "tpu", r"device\n.*'auto', 'cpu', 'cuda' or 'mps'"),
        ("channels", (), r"channels must name at least one .* got \(\)"),
        ("channels", (1, 1), r"channels must .* none twice, got \(1, 1\)"),
        ("channels", (-1,), r"channels.0\n"),
        ("time", (3, 3), r"time must be .* got \(3, 3\); for the one time point 3 give \(3, 4\)"),
        ("time", (-2, 3), r"time.0\n"),
        ("output_format", "png", r"output_format\n"),
        ("model", "", r"model\n"),
        ("sharpness", 1, r"sharpness\n.*not permitted"),
    ],
)
def test_refusals_name_the_field(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunSettings(**{name: value})
    with pytest.raises(ValueError, match=message):
        RunSettings().replace(**{name: value})


def test_text_that_is_no_settings_object_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        RunSettings.model_validate_json("{rate")


def test_every_field_can_be_shown_in_a_form() -> None:
    for name, field in RunSettings.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.description.endswith("."), name


def test_the_grid_is_that_of_the_tiles() -> None:
    assert RunSettings().tile % tiles.GRID == RunSettings().halo % tiles.GRID == 0


def test_every_field_that_decides_pixels_is_in_the_key_of_previews_and_of_results() -> None:
    changed = {"seed": 7, "rate": 0.2, "model": "other", "tile": 64, "halo": 64, "axes": "YX"}
    changed |= {"structure": "none", "neighbours": "none", "ensemble": 4, "series": 1, "stack": "T"}
    changed |= {
        "quantity": "error",
        "decoder": "flow",
        "steps": 2,
        "samples": 4,
        "rho": 0.0,
        "kd": 0.5,
        "kp": 0.5,
    }
    changed |= {"invalid": 0.0, "hot_pixels": "keep", "camera": (2.0, 100.0, 3.0)}
    changed |= {"precision": "bfloat16"}
    base = RunSettings()
    for name, value in changed.items():
        other = base.replace(**{name: value})
        assert other.deciding(*DECODED) != base.deciding(*DECODED), name
        assert other.deciding(*RESULT) != base.deciding(*RESULT), name
    for name, value in {"realism": 0.5, "dtype": "float32", "channels": (1,), "time": (0, 1)}.items():
        other = base.replace(**{name: value})
        assert other.deciding(*DECODED) == base.deciding(*DECODED), name
        assert other.deciding(*RESULT) != base.deciding(*RESULT), name
    for name, value in {"device": "cpu", "batch": 2, "overwrite": True, "output_format": "ome-tiff"}.items():
        assert base.replace(**{name: value}).deciding(*RESULT) == base.deciding(*RESULT), name
    marks = {name: marks_of(field) for name, field in RunSettings.model_fields.items()}
    assert {name for name, mark in marks.items() if mark.decides is Decides.DECODES} == set(changed)


def test_who_asks_for_samples_sees_them_unless_realism_is_given() -> None:
    assert RunSettings(decoder="flow").realism == 1
    assert RunSettings(decoder="flow", realism=0.25).realism == 0.25
    assert RunSettings(decoder="realism").realism == RunSettings().realism == 0
    assert RunSettings(realism=0.25).replace(decoder="flow").realism == 0.25


def test_the_error_is_that_of_realism_0() -> None:
    with pytest.raises(ValueError, match=r"quantity 'error'.*expected realism 0, found 0.5"):
        RunSettings(quantity="error", realism=0.5)


def test_a_new_field_is_in_the_key_by_its_mark_alone() -> None:
    class Longer(RunSettings):
        passes: Annotated[int, Marks(Decides.DECODES)] = 1

    one, two = Longer(), Longer(passes=2)
    assert one.deciding(*DECODED) != two.deciding(*DECODED)
    assert hash(one.deciding(*DECODED)) == hash(Longer(realism=0.5).deciding(*DECODED))
    assert one.replace(passes=3).passes == 3


def test_a_field_without_a_mark_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Longer\.passes: expected a mark .* found none; write for example"):

        class Longer(RunSettings):
            passes: int = 1


def test_fields_of_a_group_come_in_the_order_of_their_rows() -> None:
    names = [name for name, _ in group_fields(RunSettings, "advanced")]
    assert names[:5] == ["tile", "device", "dtype", "channels", "time"]
    assert names[5:] == ["structure", "neighbours", "hot_pixels", "precision", "ensemble"]
    assert flag_of(RunSettings, "channels") == "--channel"
    assert flag_of(RunSettings, "output_format") == "--format"
    assert flag_of(RunSettings, "rate") == "--rate"
