"""A cache may be wrong and never matters: what is not what its key names is dropped and made anew."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Latents
from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec

SETTINGS = RunSettings(device="cpu", rate="auto", tile=64, halo=64, batch=1)
IMAGE = np.random.default_rng(0).poisson(40, (2, 64, 130)).astype(np.uint16)


def run(codec, cache):
    source = open_image(IMAGE)
    sink = ArraySink(output_spec(source, SETTINGS, codec))
    stream = denoise_stream(source, sink, SETTINGS, codec=codec, cache=cache)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return sink.array, end.value


def is_choice(value):
    return value.startswith(b"{")


def changed(**fields):
    """Latents with other fields."""

    def change(value):
        latents = Latents.from_bytes(value)
        return dataclasses.replace(latents, **{k: f(latents) for k, f in fields.items()}).to_bytes()

    return change


def edited(**fields):
    """A choice of the rate with other fields."""

    def edit(value):
        kept = json.loads(value)
        return json.dumps({**kept, "choice": {**kept["choice"], **fields}}).encode()

    return edit


def other(**fields):
    """Choices with other fields."""
    return lambda value: json.dumps({**json.loads(value), **fields}).encode()


def normalized(**fields):
    """Latents of another normalisation."""
    return changed(normalization=lambda kept: dataclasses.replace(kept.normalization, **fields))


WRONG_LATENTS = {
    "nothing": lambda _: b"",
    "text": lambda _: b"x" * 300,
    "zeros": lambda value: bytes(len(value)),
    "cut": lambda value: value[: len(value) // 2],
    "head alone": lambda value: value[:84],
    "a gigabyte promised": lambda value: value[:-12] + b"\xff" * 12,
    "huge sizes": lambda value: b"\xff" * 16 + value[16:],
    "many kinds": lambda value: value[:72] + b"\xff" * 4 + value[76:],
    "another shape": changed(shape=lambda kept: (kept.shape[0] + 1, kept.shape[1])),
    "fewer symbols": changed(symbols=lambda kept: tuple(part[:, :1] for part in kept.symbols)),
    "other channels": changed(symbols=lambda kept: tuple(part[1:] for part in kept.symbols)),
    "one kind": changed(symbols=lambda kept: kept.symbols[:1]),
    "more means": changed(means=lambda kept: np.zeros((9, 9), np.int32)),
    "NaN bits": changed(bits=lambda _: float("nan")),
    "no bits": changed(bits=lambda _: 0.0),
    "another rate": changed(rate=lambda _: 0.123),
    "NaN rate": changed(rate=lambda _: float("nan")),
    "NaN scale": normalized(scale=float("nan")),
    "no scale": normalized(scale=0.0),
    "another centre": normalized(center=3.0),
}
WRONG_CHOICES = {
    **{text: lambda _, text=text: text.encode() for text in ("{}", "[]", "null", '"x"', "9", "", "yes")},
    "rate out of range": edited(rate=2.0),
    "NaN rate": edited(rate=float("nan")),
    "NaN residual": edited(found=float("nan")),
    "text as rate": edited(rate="high"),
    "curve of pairs": edited(curve=[[0, 1]]),
    "no curve": edited(curve=None),
    "another rate than its own": other(rate=0.123),
    "no choice": other(choice=None),
    "neighbours that the image does not have": other(neighbours="Z"),
    "not UTF-8": lambda _: b"\xff\xfe\x00",
}


@pytest.mark.parametrize("wrong", WRONG_LATENTS.values(), ids=WRONG_LATENTS)
@pytest.mark.parametrize("model", ["tiny_codec", "tiny_series_codec"])
def test_wrong_latents_do_not_matter(request, tmp_path, wrong, model):
    check(request.getfixturevalue(model), tmp_path, wrong, lambda value: not is_choice(value))


@pytest.mark.parametrize("wrong", WRONG_CHOICES.values(), ids=WRONG_CHOICES)
def test_wrong_choices_do_not_matter(tiny_codec, tmp_path, wrong):
    check(tiny_codec, tmp_path, wrong, is_choice)


def check(codec, folder, wrong, of_kind):
    kept = {}
    cache = LatentCache(folder=folder / "good")
    cache.put = lambda key, value: kept.__setitem__(key, value)
    expected, report = run(codec, cache)
    chosen = [key for key, value in kept.items() if of_kind(value)]
    assert chosen
    bad = LatentCache(folder=folder / "bad")
    for key, value in kept.items():
        bad.put(key, wrong(value) if key in chosen else value)
    assert any(bad.get(key) != kept[key] for key in chosen)
    found, told = run(codec, bad)
    np.testing.assert_array_equal(found, expected)
    assert told.channels == report.channels
    for key in kept:  # in memory and on the disk
        assert bad.get(key) == LatentCache(folder=folder / "bad").get(key) == kept[key]


@pytest.mark.parametrize("wrong", [lambda _: b"", other(rate=0.9), other(neighbours="T"), other(structure=7)])
def test_wrong_choices_beside_a_given_rate_do_not_matter(tiny_codec, tmp_path, wrong, monkeypatch):
    monkeypatch.setitem(globals(), "SETTINGS", SETTINGS.replace(rate=0.4))
    check(tiny_codec, tmp_path, wrong, is_choice)
