from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.ui.preview.shown import Shown

pytestmark = pytest.mark.display

NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)


def plane(index=0, texture=0.0):
    rng = np.random.default_rng(0)
    clean = np.full((128, 128), 300.0, np.float32)
    sd = np.sqrt(NOISE.variance(clean))
    noisy = (clean + rng.normal(size=clean.shape) * sd).astype(np.float32)
    realism = (clean + texture * rng.choice([-1.0, 1.0], clean.shape) * sd).astype(np.float32)
    plan = SimpleNamespace(normalization=SimpleNamespace(noise=NOISE))
    return Shown("cells", (index,), noisy, clean, realism, np.ones(clean.shape, bool), 0.5, plan, 0.3)


def test_a_good_result_has_nothing_to_look_at_and_its_texture_is_told() -> None:
    from napari_rdpdenoise.ui.qt.boxes.compare_words import in_words

    text = in_words(plane(texture=0.4))
    assert "Look again" in in_words(replace(plane(), noisy=plane().noisy * 2))
    assert "0.20 of the noise" in text  # half way of 0.4
    assert "added texture" not in in_words(replace(plane(), realism=None)).lower()
    assert "Look again" not in in_words(plane())


def test_what_is_missing_is_said() -> None:
    from napari_rdpdenoise.ui.qt.boxes.compare_words import in_words

    nothing = np.zeros((128, 128), bool)
    assert in_words(None) == in_words(replace(plane(), done=nothing)) == "Nothing is denoised here yet."
    assert "noise is not known" in in_words(replace(plane(), plan=None))


def test_the_newest_wins_and_there_is_one_thread(qtbot, monkeypatch) -> None:
    from napari_rdpdenoise.ui.qt.boxes import compare_words

    asked, told, go_on = [], [], threading.Event()

    def slow(shown):
        asked.append(shown.index)
        go_on.wait(20)
        return str(shown.index)

    monkeypatch.setattr(compare_words, "in_words", slow)
    teller = compare_words.Teller()
    teller.told.connect(told.append)
    for index in range(5):
        teller.ask(plane(index))
    qtbot.waitUntil(lambda: asked == [(0,)])
    go_on.set()
    qtbot.waitUntil(lambda: told == ["(4,)"])
    assert asked == [(0,), (4,)]


def test_a_check_that_fails_is_told_in_its_place(qtbot, monkeypatch) -> None:
    from napari_rdpdenoise.ui.qt.boxes import compare_words

    def broken(shown):
        raise ValueError("no pixel")

    monkeypatch.setattr(compare_words, "in_words", broken)
    teller, told = compare_words.Teller(), []
    teller.told.connect(told.append)
    teller.ask(plane())
    qtbot.waitUntil(lambda: told == ["No residual checks: no pixel"])
