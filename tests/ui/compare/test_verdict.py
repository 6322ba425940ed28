from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.metrics.words import judge_residual
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.ui.compare.verdict import judge, kept_words, left_words, waiting
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.state import DockState, Phase

NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)


def plane(texture=0.0, alpha=0.0, error=0.1, structure=False):
    """Noise alone was removed of a flat plane; the texture is in noise standard deviations."""
    rng = np.random.default_rng(0)
    clean = np.full((128, 128), 300.0, np.float32)
    sd = np.sqrt(NOISE.variance(clean))
    noisy = (clean + rng.normal(size=clean.shape) * sd).astype(np.float32)
    realism = (clean + texture * rng.choice([-1.0, 1.0], clean.shape) * sd).astype(np.float32)
    choice = SimpleNamespace(error=error, left_alone=error == 1, rate=0.7)
    plan = ChannelPlan(Normalization(NOISE, 0.0, 1.0), 0.5, choice, structure)
    return Shown("key", (0,), noisy, clean, realism, np.ones(clean.shape, bool), alpha, plan, 0.3)


def test_where_only_noise_was_removed_the_line_says_so_with_the_expected_error() -> None:
    found = judge(plane())
    assert (found.fine, found.sign) == (True, "✓")
    assert found.line == "Only noise was removed; expected error 10 dB below the noise."
    assert any("±" in sentence for sentence in found.why)


@pytest.mark.parametrize(
    ("change", "words", "advice"),
    [
        (lambda x: x + 0.9 * (300 - x), "some noise is left", "towards strong"),
        (lambda x: x + 1.5 * (x - 300), "more than the noise was removed", "towards weak"),
        (lambda x: x + 4, "mean intensity", "not measure"),
        (lambda x: 300 + (x - 300 + np.roll(x - 300, 1, 1)) / 2**0.5, "smooth", "raw images"),
        (lambda x: 300 + (x - 300 - np.roll(x - 300, 1, 1)) / 2**0.5, "coarse part", "towards strong"),
    ],
)
def test_what_stands_out_is_named_with_what_to_do(change, words, advice) -> None:
    shown = plane()
    found = judge(replace(shown, noisy=change(shown.noisy).astype(np.float32)))
    assert (found.fine, found.sign) == (False, "!")
    assert words in found.line
    assert any(sentence.startswith("!") and advice in sentence for sentence in found.why)


@pytest.mark.parametrize(("rate", "moves"), [(0.5, True), (0.9, True), (1.0, False)])
def test_rate_is_not_to_be_moved_beyond_its_end(rate, moves) -> None:
    shown = plane()
    shown = replace(shown, plan=replace(shown.plan, rate=rate))
    found = judge(replace(shown, noisy=(shown.noisy + 4).astype(np.float32)))
    (wrong,) = [words for words in found.why if words.startswith("!") and "mean" in words]
    assert wrong.endswith("Do not measure intensities here.")
    assert ("towards weak" in wrong) is moves


@pytest.mark.parametrize("rate", [0.7, 0.0, 0.5])
def test_what_auto_has_weighed_is_not_advised_against(rate) -> None:
    shown = plane()
    shown.plan.choice.rate = rate
    shown = replace(shown, plan=replace(shown.plan, rate=rate))
    found = judge(replace(shown, noisy=(shown.noisy + 0.9 * (300 - shown.noisy)).astype(np.float32)))
    (left,) = [words for words in found.why if "less than the noise" in words]
    assert "towards strong" not in left
    assert "Auto has weighed that" in left


@pytest.mark.parametrize("reduction", [2.0, 8.0])
def test_a_smaller_copy_is_not_judged_in_the_place_of_what_a_run_denoises(reduction) -> None:
    shown = plane()
    noisy = (shown.noisy + 0.9 * (300 - shown.noisy)).astype(np.float32)
    assert judge(replace(shown, noisy=noisy)).fine is False
    found = judge(replace(shown, noisy=noisy, level=1, reduction=reduction))
    assert (found.fine, found.sign) == (None, "…")
    assert "Zoom in" in found.line
    assert f"1/{reduction:.3g}" in " ".join(found.why)


def test_what_is_not_image_is_counted_for_each_layer() -> None:
    shown = plane()
    invalid = np.zeros(shown.done.shape, bool)
    invalid[:2, :50] = True
    done = shown.done.copy()
    done[:1] = False
    some = replace(shown, invalid=invalid)
    assert left_words([("a", shown), ("b", replace(shown, invalid=np.zeros_like(invalid)))]) == ""
    told = left_words([("a", some), ("b", shown), ("c", replace(some, done=done))])
    assert "100 pixels (0.61 %) of a, 50 pixels (0.31 %) of c" in told


def test_the_numbers_are_those_of_the_residual_checks_alone() -> None:
    shown = plane(texture=0.4, alpha=0.5)
    checks = judge_residual(shown.noisy, shown.fidelity, NOISE).checks
    found = judge(shown)
    assert [sentence.removeprefix("✓ ") for sentence in found.why[: len(checks)]] == [c.text for c in checks]
    assert "0.20 of the noise" in " ".join(found.why), "half way of 0.4"
    assert "not for measuring" in found.line
    assert "texture" not in " ".join(judge(plane(texture=0.4)).why)


def test_structure_that_came_back_is_told() -> None:
    assert "taken back" in " ".join(judge(plane(structure=True)).why)
    assert "taken back" not in " ".join(judge(plane()).why)


def test_an_image_that_is_left_alone_is_told_so() -> None:
    """What was removed is nothing then, which is no fault."""
    shown = plane(error=1, structure=True)
    found = judge(replace(shown, fidelity=shown.noisy))
    assert found.fine
    assert found.line.startswith("Left as it is")
    assert any("take Auto off" in sentence for sentence in found.why)


def test_what_is_missing_is_said() -> None:
    shown = plane()
    assert judge(replace(shown, done=np.zeros_like(shown.done))).fine is None
    assert "noise" in judge(replace(shown, plan=None)).line


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (DockState(), "Open an image"),
        (DockState(layer="a", preview=False), "click Denoised"),
        (DockState(layer="a", requested=3, working="Measuring the noise"), "Measuring the noise…"),
        (DockState(layer="a", requested=3, shown=1), "1 of 3"),
        (DockState(layer="a", requested=3, phase=Phase.RUNNING), "waits for the run"),
        (DockState(layer="a", preview_note="No preview in 3-D."), "3-D"),
    ],
)
def test_while_there_is_nothing_to_judge_the_reason_is_said(state, words) -> None:
    found = waiting(state)
    assert (found.fine, found.sign) == (None, "…")
    assert words in found.line
    assert waiting(DockState(layer="a", requested=3, shown=3)) is None


@pytest.mark.parametrize(
    ("kept", "fine", "words"), [(True, True, "no noise here"), (False, None, "Nothing to")]
)
def test_where_no_pixel_can_be_judged_nothing_is_said_to_be_removed(kept, fine, words) -> None:
    shown = plane()
    blank = np.full(shown.noisy.shape, np.iinfo(np.uint16).max, np.uint16)  # saturated throughout
    result = (blank if kept else blank - 1).astype(np.float32)
    found = judge(replace(shown, noisy=blank, fidelity=result))
    assert found.fine is fine
    assert words in found.line
    assert not any("removed" in sentence or sentence.startswith("!") for sentence in (found.line, *found.why))


@pytest.mark.parametrize("reduction", [1.0, 4.0])
def test_a_blank_plane_is_told_without_a_check_of_the_noise(reduction, monkeypatch) -> None:
    from napari_rdpdenoise.ui.compare import verdict

    monkeypatch.setattr(verdict, "judge_residual", lambda *_: pytest.fail("nothing is to be compared"))
    shown = plane()
    flat = np.full_like(shown.noisy, 100)
    left = {"fidelity": flat.astype(np.float32), "invalid": np.ones(flat.shape, bool)}
    found = judge(replace(shown, noisy=flat, reduction=reduction, **left))
    assert (found.fine, found.line) == (True, "Left as it is: no noise here.")


def test_a_layer_that_is_refused_is_not_called_missing() -> None:
    assert "cannot be denoised" in waiting(DockState(refused=True)).line
    assert "Open an image" in waiting(DockState()).line


@pytest.mark.parametrize(
    ("structure", "share", "words"),
    [
        (True, 0.2, "0.20 on average and at most 0.20"),
        (True, 0.001, "nothing but noise"),
        (True, 0.0, "nothing but noise"),
        (False, 0.0, "would not help"),
    ],
)
def test_a_picture_of_what_was_kept_says_how_much_or_why_it_is_black(structure, share, words) -> None:
    shown = plane(structure=structure)
    share = np.full(shown.noisy.shape, share, np.float16)
    found = kept_words(replace(shown, share=share))
    assert words in found
    assert found.startswith("Nothing is kept") is ("average" not in words)
    for unknown in (None, replace(shown, plan=None), replace(shown, done=np.zeros_like(shown.done))):
        assert "not denoised so far" in kept_words(unknown)
