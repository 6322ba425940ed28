"""Settings that no run could use are refused, by name."""

import math

import pytest
from pydantic import ValidationError

from napari_rdpdenoise.finetune.settings import (
    FinetuneSettings,
    PairsSettings,
    PatchSettings,
    UnpairedSettings,
    ZeroShotSettings,
)

ALL = (PairsSettings, PatchSettings, UnpairedSettings, ZeroShotSettings)
NUMBERS = [
    (settings, name)
    for settings in ALL
    for name, field in settings.model_fields.items()
    if isinstance(field.default, float) or name in ("rate", "grain", "seed")
]


@pytest.mark.parametrize(("settings", "name"), NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e12, -1])
def test_what_is_no_possible_number_is_refused_by_name(settings, name, value):
    with pytest.raises(ValidationError, match=name):
        settings(**{name: value})


@pytest.mark.parametrize("settings", [FinetuneSettings, *ALL])
def test_defaults_are_within_the_bounds(settings):
    assert settings(**settings().model_dump()) == settings()


@pytest.mark.parametrize("rate", [0, 0.5, 1, "auto"])
def test_rates_are_from_0_to_1(rate):
    assert PairsSettings(rate=rate).rate == rate


@pytest.mark.parametrize("rate", [1.0001, -0.1, "most"])
def test_a_wrong_rate_has_one_message(rate):
    with pytest.raises(
        ValidationError, match="rate must be a number from 0 to 1, 'auto' or 'compact'"
    ) as error:
        UnpairedSettings(rate=rate)
    assert error.value.error_count() == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 500}, "steps: expected none with kind linear, found 500; give kind conv or mlp"),
        ({"latents": 4}, "latents: expected none with kind linear"),
        ({"kind": "conv", "classes": 3}, "classes: expected none with kind conv, found 3; give kind linear"),
        ({"kind": "mlp", "rounds": 2}, "rounds: expected none with kind mlp"),
    ],
)
def test_a_patch_codec_is_not_given_what_only_another_kind_has(given, words):
    with pytest.raises(ValueError, match=words):
        PatchSettings(**given)


@pytest.mark.parametrize("kind", ["linear", "conv", "mlp"])
def test_what_a_patch_codec_kept_of_its_settings_is_read_again(kind):
    settings = PatchSettings(kind=kind)
    assert PatchSettings.model_validate_json(settings.model_dump_json()) == settings
