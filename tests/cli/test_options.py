from __future__ import annotations

import pytest
import typer
from typer.main import get_command

from napari_rdpdenoise.cli import app
from napari_rdpdenoise.cli.options import flag, make_settings, parse_range
from napari_rdpdenoise.settings import RunSettings

FIELDS = RunSettings.model_fields


def option(command: str, field: str):
    parameters = get_command(app).commands[command].params
    found = [p for p in parameters if flag(field) in p.opts]
    assert len(found) == 1, f"{command} has no option {flag(field)}"
    return found[0]


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_is_an_option_with_its_default_and_description(field):
    found = option("denoise", field)
    default = getattr(found.default, "value", found.default)
    assert default == FIELDS[field].default or (not default and FIELDS[field].default is None)
    assert found.help == FIELDS[field].description
    assert not found.required


def test_options_that_are_no_settings_are_known():
    parameters = get_command(app).commands["denoise"].params
    flags = {name for p in parameters for name in p.opts if name.startswith("--")}
    assert flags - {flag(field) for field in FIELDS} - {"--help"} == {
        "--no-cache", "--job", "--part", "--finish", "--scheduler", "--follow", "--until", "--idle",
        "--still", "--first-steps",
    }  # fmt: skip


@pytest.mark.parametrize("field", ["model", "rate", "realism", "device"])
def test_demo_shares_options(field):
    assert option("demo", field).help == option("denoise", field).help


def test_train_shares_the_device():
    assert option("train", "device").help == FIELDS["device"].description


def test_option_defaults_give_default_settings():
    defaults = {field: option("denoise", field).default for field in FIELDS}
    assert make_settings(defaults) == RunSettings()


def test_written_values():
    settings = make_settings({"rate": "0.25", "channels": [2, 0], "time": "3:7", "axes": "tyx"})
    assert settings == RunSettings(rate=0.25, channels=(2, 0), time=(3, 7), axes="TYX")
    assert make_settings({"rate": "auto", "channels": []}) == RunSettings()


@pytest.mark.parametrize(("text", "expected"), [("0:4", (0, 4)), (":4", (0, 4)), ("11:12", (11, 12))])
def test_range(text, expected):
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["4", "a:b", "1:", "1:2:3", ""])
def test_wrong_range_names_the_form(text):
    with pytest.raises(ValueError, match=r"--time: expected A:B"):
        parse_range(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": "2"}, r"--rate: rate must be a number from 0 to 1, 'auto' or 'compact', got '2'"),
        ({"tile": 100}, r"--tile: .*multiple of \d+, found 100; Edge of"),
        ({"channels": [1, 1]}, r"--channel: channels must name"),
        ({"time": "5:5"}, r"--time: time must be"),
        ({"realism": 1.5}, r"--realism: .*found 1.5"),
    ],
)
def test_refusals_name_the_option_and_the_found_value(given, message):
    with pytest.raises(ValueError, match=message):
        make_settings(given)


def test_all_refusals_are_told_at_once():
    with pytest.raises(ValueError, match=r"(?s)--tile.*--realism|--realism.*--tile"):
        make_settings({"tile": 3, "realism": -1.0})


def test_choices_are_those_of_the_settings(run):
    answer = run("denoise", "in.tif", "out.ome.tif", "--device", "tpu")
    assert answer.exit_code == 2
    assert all(name in answer.stderr for name in ("auto", "cpu", "cuda", "mps"))
    assert isinstance(app, typer.Typer)
