"""Training settings: what a config file may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.train.settings import (
    CodecStage,
    NoiseRange,
    SourceSettings,
    TrainSettings,
    load_settings,
)

BASE = NetworkConfig(
    planes=3,
    detail_channels=16,
    grain_channels=8,
    gain_anchors=10,
    encoder_blocks=(6, 4),
    decoder_blocks=(4, 4),
)
SOURCE = {"kind": "clean", "folder": "clean"}
PAIRS = {"kind": "pairs", "folder": "noisy", "clean_folder": "clean"}
STAGE = {"kind": "all-rates", "steps": 5}
REALISM = {"kind": "realism", "steps": 5}


def test_the_shipped_config_is_valid_and_trains_light():
    path = Path(__file__).parents[2] / "models" / "fluo-light" / "train.yaml"
    settings = load_settings(path)
    assert settings.name == "fluo-light"
    assert settings.network == NetworkConfig(planes=3, detail_channels=16, grain_channels=8, gain_anchors=10)
    assert all(not Path(source.folder).is_absolute() for source in settings.sources)
    assert not any("test" in source.folder for source in settings.sources)


def test_settings_survive_json():
    settings = TrainSettings(name="a", sources=(SOURCE,), stages=({**STAGE, "tradeoff": (0.1, 7.0)}, REALISM))
    assert TrainSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sources": ()}, "sources"),
        ({"stages": ()}, "stages"),
        ({"stages": ({**STAGE, "steps": 0},)}, "steps"),
        ({"stages": ({**STAGE, "learning_rate": 0},)}, "learning_rate"),
        ({"stages": ({**STAGE, "ema": 1.0},)}, "ema"),
        ({"stages": ({**STAGE, "lpips": 1.0},)}, "lpips"),
        ({"stages": ({**STAGE, "tradeoff": (2.0, 1.0)},)}, "tradeoff must be two ascending numbers"),
        ({"stages": (REALISM, STAGE)}, "realism and flow must come last"),
        ({"stages": (REALISM,)}, "realism needs a trained codec"),
        ({"crop": 100}, "crop"),
        ({"crop": 0}, "crop"),
        ({"colour": 1}, "colour"),
        ({"network": {"quarter_channels": 33}}, "quarter_channels"),
    ],
)
def test_wrong_settings_are_named(changes, field):
    with pytest.raises(ValueError, match=field):
        TrainSettings(**{"name": "a", "sources": (SOURCE,), "stages": (STAGE,), **changes})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({**SOURCE, "kind": "pairs"}, "clean_folder must be given for kind 'pairs', or a teacher"),
        ({**SOURCE, "kind": "noisy"}, "teacher must be given for kind 'noisy'"),
        (
            {**SOURCE, "clean_folder": "b"},
            "clean_folder is only for kind 'pairs', found 'b' with kind 'clean'",
        ),
        ({**SOURCE, "teacher": "b"}, "teacher is only for kind 'noisy' and 'pairs'"),
        ({**PAIRS, "noisy_target": True}, "noisy_target is only for kind 'clean', found True"),
        ({**PAIRS, "noise": {}}, "noise is only for kind 'clean'"),
        ({**PAIRS, "downscale": (0.5,)}, "downscale is only for kind 'clean' and 'identity'"),
        (
            {**SOURCE, "kind": "identity", "min_ms_ssim": 0.5},
            "min_ms_ssim is only for kind 'clean' and 'pairs'",
        ),
        ({**SOURCE, "min_ms_ssim": 1.0}, "min_ms_ssim"),
        ({**SOURCE, "min_ms_ssim": 0.0}, "min_ms_ssim"),
        ({**SOURCE, "noise": {"photons": (5, 1)}}, "photons must be ascending numbers above 0"),
        ({**SOURCE, "downscale": (0.0,)}, "downscale must hold factors above 0"),
        ({**SOURCE, "weight": 0}, "weight"),
        ({"kind": "clean"}, "folder must be given for kind 'clean'"),
        ({"kind": "simulated", "folder": "clean"}, "folder is only for kind"),
        ({"kind": "simulated", "hold_out": ("a",)}, "hold_out is only for kind"),
    ],
)
def test_wrong_sources_are_named(source, message):
    with pytest.raises(ValueError, match=message):
        SourceSettings(**source)


@pytest.mark.parametrize(
    "source",
    [
        {**SOURCE, "noisy_target": True, "noise": {"photons": (2, 9)}, "min_ms_ssim": 0.6},
        {**PAIRS, "min_ms_ssim": 0.8},
        {**PAIRS, "teacher": "fluo-light"},
        {"kind": "pairs", "folder": "noisy", "teacher": "fluo-light"},
        {"kind": "noisy", "folder": "noisy", "teacher": "fluo-light", "min_ms_ssim": 0.8},
        {**SOURCE, "kind": "identity", "downscale": (1.0, 0.5)},
    ],
)
def test_strategies_can_be_said_and_survive_json(source):
    settings = TrainSettings(name="a", sources=(source,), stages=(STAGE,))
    again = TrainSettings.model_validate_json(settings.model_dump_json())
    assert again == settings
    assert again.sources[0].model_dump(exclude_defaults=True).keys() == source.keys()


def test_the_tradeoff_reaches_as_far_as_the_anchors():
    stage = CodecStage.model_validate(STAGE)
    assert stage.tradeoff_of(8) == pytest.approx((0.2, 200.0))
    (_, nine), (_, ten) = stage.tradeoff_of(9), stage.tradeoff_of(10)
    assert ten / nine == pytest.approx(nine / 200.0)
    given = CodecStage.model_validate({**STAGE, "tradeoff": (1.0, 50.0)})
    assert given.tradeoff_of(10) == (1.0, 50.0)


@pytest.mark.parametrize("field", ["photons", "read_electrons"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (5.0, 1.0)])
def test_noise_ranges_ascend(field, bounds):
    with pytest.raises(ValueError, match=f"{field} must be ascending numbers above 0"):
        NoiseRange(**{field: bounds})


def test_files_that_are_no_settings_are_refused(tmp_path):
    path = tmp_path / "train.yaml"
    with pytest.raises(FileNotFoundError, match=re.escape(f"config: no file {path}")):
        load_settings(path)
    path.write_text("{steps: [", encoding="utf-8")
    with pytest.raises(ValueError, match="is not valid YAML"):
        load_settings(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="TrainSettings"):
        load_settings(path)


def test_every_config_that_is_shipped_is_valid():
    folder = Path(__file__).parents[2] / "models"
    found = {path: load_settings(path) for path in folder.glob("*/*.yaml") if path.name != "card.yaml"}
    assert {path.name for path in found} == {"train.yaml"}
    assert all(settings.name == path.parent.name for path, settings in found.items())
    assert found[folder / "fluo-base" / "train.yaml"].network == BASE
