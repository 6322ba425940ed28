"""Preferences: from the manifest to what the dock uses."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest
from npe2 import PluginManifest

from napari_rdpdenoise.files import cache_folder
from napari_rdpdenoise.settings import RunSettings

PLUGIN = "napari-rdpdenoise"

pytestmark = pytest.mark.display


@pytest.fixture
def prefs():
    """The module under test."""
    from napari_rdpdenoise.ui.qt import preferences

    return preferences


@pytest.fixture
def registered(npe2pm, request, monkeypatch):
    """napari's own model of this plugin's preferences, in a file of the test."""
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no preferences of plugins")
    request.getfixturevalue("plugin_settings")
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    return settings.get_plugin_settings(PLUGIN)


def properties():
    manifest = PluginManifest.from_distribution(PLUGIN)
    return manifest.contributions.configurations["rdpdenoise"].properties


def test_the_manifest_declares_every_field_with_its_default(prefs):
    declared = {name: prop.default for name, prop in properties().items()}
    assert declared == asdict(prefs.Preferences())
    assert all(prop.title and prop.description for prop in properties().values())


def test_defaults_and_choices_are_those_of_a_run(prefs):
    chosen = prefs.Preferences()
    run = RunSettings()
    assert (chosen.model, chosen.device) == (run.model, run.device)
    for device in properties()["device"].enum:
        assert RunSettings(device=device).device == device


def test_what_is_set_in_napari_is_read(prefs, registered):
    assert prefs.preferences() == prefs.Preferences()
    values = {
        "model": "/my/model",
        "device": "cpu",
        "cache_folder": "/c",
        "cache_gb": 0.5,
        "backbone_folder": "/b",
    }
    assert set(values) == {field.name for field in fields(prefs.Preferences)}
    for name, value in values.items():
        setattr(registered.rdpdenoise, name, value)
    assert prefs.preferences() == prefs.Preferences(**values)
    assert prefs.preferences().cache_bytes == 500_000_000


def test_emptied_texts_are_not_set(prefs, registered):
    registered.rdpdenoise.model = "  "
    assert prefs.preferences() == prefs.Preferences()


@pytest.mark.parametrize(("name", "value"), [("device", "tpu"), ("cache_gb", -1.0)])
def test_napari_refuses_what_cannot_be(registered, name, value):
    with pytest.raises(ValueError, match=name):
        setattr(registered.rdpdenoise, name, value)


def test_without_them_the_defaults(prefs, npe2pm, monkeypatch):
    import napari.settings

    assert prefs.preferences() == prefs.Preferences()  # the plugin is not registered here
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)  # napari < 0.9
    assert prefs.preferences() == prefs.Preferences()


def test_the_cache_is_where_and_as_large_as_asked(prefs, tmp_path, monkeypatch):
    chosen = prefs.Preferences(cache_folder=str(tmp_path / "mine"), cache_gb=2e-6)
    assert prefs.open_cache(chosen).folder == cache_folder()  # the environment's, which every test has
    monkeypatch.delenv("RDPDENOISE_CACHE")
    cache = prefs.open_cache(chosen)
    assert cache.folder == tmp_path / "mine"
    for number in range(20):
        cache.put(str(number), bytes(500))
    assert 0 < cache.stats().disk_bytes <= 2000
    assert prefs.open_cache(prefs.Preferences()).folder == cache_folder()


def test_no_cache_on_disk(prefs, monkeypatch, tmp_path):
    monkeypatch.setenv("RDPDENOISE_CACHE", str(tmp_path / "empty"))
    cache = prefs.open_cache(prefs.Preferences(cache_gb=0))
    cache.put("key", b"value")
    assert cache.stats().disk_bytes == 0
    assert cache.get("key") == b"value"


@pytest.mark.parametrize(
    ("environment", "set_to", "expected"),
    [("", "", None), ("", "/b", "/b"), ("/e", "/b", None), ("/e", "", None)],
)
def test_backbones(prefs, monkeypatch, environment, set_to, expected):
    monkeypatch.setenv("RDPDENOISE_BACKBONES", environment)
    found = prefs.backbone_folder(prefs.Preferences(backbone_folder=set_to))
    assert (None if found is None else found.as_posix()) == expected
