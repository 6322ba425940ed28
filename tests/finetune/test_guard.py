"""Guard rails: they stop what collapses, keep the best, and keep the old model unless it was beaten."""

from __future__ import annotations

import math

import pytest

from napari_rdpdenoise.finetune.figures import error_loss
from napari_rdpdenoise.finetune.guard import Guard

START = {"error": 0.05, "residual": 1.0, "mean": 0.0, "background": 0.1, "texture": 0.5}


@pytest.fixture
def guard(tmp_path, tiny_codec):
    def made(goal="texture", patience=3):
        kept = Guard(tmp_path, goal, patience)
        kept.begin(dict(START))
        return kept

    return made


@pytest.fixture
def add(tiny_codec):
    def row(kept, step, values=None, **figures):
        kept.add(step, START | figures, values or {}, tiny_codec._network)

    return row


def test_what_has_not_changed_is_said_so(guard, add):
    kept = guard()
    add(kept, 10, texture=0.5)
    assert "0.5 before, 0.5 after (no change)" in kept.verdict().words[0]


def test_a_better_model_is_named_so_and_its_weights_are_kept(guard, add, tmp_path):
    kept = guard()
    add(kept, 10, texture=0.4)
    add(kept, 20, texture=0.3)
    add(kept, 30, texture=0.35)
    verdict = kept.verdict()
    assert (verdict.better, verdict.step) == (True, 20)
    assert "0.5 before, 0.3 after (-40 %)" in verdict.words[0]
    assert [p.name for p in tmp_path.glob("best-*")] == ["best-0000020.safetensors"]
    assert kept.weights == tmp_path / "best-0000020.safetensors"
    assert kept.stop() is None


def test_too_small_a_gain_keeps_the_old(guard, add):
    kept = guard()
    add(kept, 10, texture=0.499)
    assert not kept.verdict().better
    assert "the old one is kept" in kept.verdict().words[0]


def test_texture_that_costs_more_than_half_a_decibel_is_refused(guard, add):
    kept = guard()
    add(kept, 10, texture=0.1, error=0.06)
    verdict = kept.verdict()
    assert not verdict.better
    assert kept.weights is None
    assert "0.79 dB" in " ".join(verdict.words)
    add(kept, 20, texture=0.2, error=0.054)
    assert kept.verdict().step == 20


@pytest.mark.parametrize(
    ("figures", "words"), [({"mean": 2.0}, "mean intensity"), ({"background": 0.4}, "flat background")]
)
def test_collapse_ends_the_run_at_the_second_row(guard, add, figures, words):
    kept = guard()
    add(kept, 10, texture=0.1, **figures)
    assert kept.stop() is None
    add(kept, 20, texture=0.1, **figures)
    assert words in kept.stop()
    assert not kept.verdict().better


def test_a_mean_that_gets_better_is_no_drift(guard, add, tmp_path):
    kept = Guard(tmp_path / "other", "error")
    kept.begin(START | {"mean": -4.0})
    for step in (1, 2):
        add(kept, step, mean=0.5)
    assert kept.stop() is None


def test_a_critic_that_diverges_ends_the_run(guard, add):
    kept = guard(patience=99)
    for step in range(1, 6):
        add(kept, step, {"critic": 0.1 * step}, texture=0.5 - 0.01 * step)
        assert kept.stop() is None
    add(kept, 6, {"critic": 50.0}, texture=0.4)
    assert "went astray" in kept.stop()


def test_numbers_that_are_none_end_the_run(guard, add):
    kept = guard()
    add(kept, 10, texture=math.nan)
    assert "not a finite number" in kept.stop()
    assert not kept.verdict().better


def test_patience(guard, add):
    kept = guard(patience=2)
    add(kept, 10, texture=0.3)
    add(kept, 20, texture=0.4)
    assert kept.stop() is None
    add(kept, 30, texture=0.4)
    assert kept.stop() == "no better since step 10"


def test_a_resumed_run_has_the_rows_and_drops_lost_ones(guard, add, tmp_path):
    kept = guard()
    for step, texture in ((10, 0.4), (20, 0.3), (30, 0.2)):
        add(kept, step, texture=texture)
    again = Guard(tmp_path, "texture", 3)
    assert again.rows == kept.rows
    again.begin({"texture": 9.0})
    assert again.rows[0].figures == START
    add(again, 20, texture=0.3)  # the checkpoint was that of step 10
    assert [row.step for row in again.rows] == [0, 10, 20]
    assert again.weights == tmp_path / "best-0000020.safetensors"


def test_pairs_are_judged_by_decibels(tmp_path, add):
    kept = Guard(tmp_path, "pairs")
    kept.begin({"pairs psnr@0.6": 30.0, "pairs psnr@1.0": 31.0})
    kept.rows.append(type(kept.rows[0])(10, {"pairs psnr@0.6": 30.5, "pairs psnr@1.0": 31.5}, {}))
    assert kept.verdict().better
    assert "+0.50 dB" in kept.verdict().words[0]


def test_error_loss_is_that_of_psnr():
    assert error_loss({"error": 0.1}, {"error": 0.2}) == pytest.approx(3.01, abs=0.01)
    assert error_loss({"error": 0.1}, {"error": 0.05}) == pytest.approx(-3.01, abs=0.01)


EXPOSED = {"lpips": 0.2, "exposed": 0.2, "lattice": 0.02}


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"exposed": 0.23}, "simulated exposures rose by 0.61 dB"),
        ({"lattice": 0.09}, "grid pattern"),
        ({"error": 0.1}, "estimated error rose by 0.97 dB"),
    ],
)
def test_a_lower_lpips_is_refused_where_it_costs_too_much(guard, add, figures, reason):
    kept = guard("lpips")
    kept.rows[0].figures.update(EXPOSED)
    add(kept, 10, **(EXPOSED | {"lpips": 0.1} | figures))
    verdict = kept.verdict()
    assert not verdict.better
    assert kept.weights is None
    assert reason in verdict.words[-1]


def test_an_error_estimate_about_zero_is_measured_against_that_of_exposures(guard, add):
    """A noise estimate that is too large makes the estimated error vanish, and any change of it huge."""
    kept = guard("lpips")
    kept.rows[0].figures.update(EXPOSED | {"error": -0.04, "residual": 0.9})
    add(kept, 10, **(EXPOSED | {"lpips": 0.15, "error": -0.03, "residual": 0.9}))
    assert kept.verdict().step == 10


def test_pairs_say_what_are_decibels_and_what_is_lpips(tmp_path):
    kept = Guard(tmp_path, "pairs")
    kept.begin({"pairs psnr@0.6": 30.0, "pairs realism psnr@0.6": 29.0, "pairs realism lpips@0.6": 0.30})
    after = {"pairs psnr@0.6": 29.9, "pairs realism psnr@0.6": 29.0, "pairs realism lpips@0.6": 0.25}
    kept.rows.append(type(kept.rows[0])(10, after, {}))
    verdict = kept.verdict()
    assert verdict.better
    assert (
        "-0.10 dB on held-out pairs (30.00 dB before), LPIPS at realism 1 0.3 before, 0.25 after"
        in (verdict.words[0])
    )


def test_a_kill_while_the_best_is_replaced_leaves_a_best(guard, add, tmp_path, monkeypatch):
    kept = guard()
    add(kept, 10, texture=0.4)

    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Guard, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        add(kept, 20, texture=0.3)
    again = Guard(tmp_path, "texture")
    assert again.best.step == 10
    assert again.weights is not None


def test_a_gain_is_no_share_of_an_error_that_was_estimated_as_none(tmp_path, add):
    """With too large a noise estimate errors are negative; the removed noise tells how large they can be."""
    kept = Guard(tmp_path, "error")
    kept.begin(START | {"error": -0.08, "residual": 0.88})
    add(kept, 10, error=-0.0804, residual=0.88)
    assert not kept.verdict().better
    add(kept, 20, error=-0.0820, residual=0.88)
    assert kept.verdict().better


def with_blocks(folder, goal, changes):
    """A guard whose one row's blocks differ from the start's by these."""
    before = [0.5 + 0.1 * (k % 7) for k in range(len(changes))]
    kept = Guard(folder, goal)
    kept.begin(START | {"error": sum(before) / len(before)}, before)
    after = [b + c for b, c in zip(before, changes, strict=True)]
    kept.rows.append(type(kept.rows[0])(10, START | {"error": sum(after) / len(after)}, {}, after))
    return kept


@pytest.mark.parametrize(("scatter", "better"), [(0.2, True), (0.6, False)])
def test_an_error_must_fall_by_more_than_the_noise_of_its_measurement(tmp_path, scatter, better):
    """By 0.1 in 16 blocks that scatter by so much: 2 standard errors are half, or one and a half, of that."""
    kept = with_blocks(tmp_path, "error", [-0.1 + scatter * (-1) ** k / 2 for k in range(16)])
    verdict = kept.verdict()
    assert verdict.better == better, verdict.words
    assert ("within the noise of the measurement" in verdict.words[0]) == (not better)
    assert ("the old one is kept" in verdict.words[0]) == (not better)
    assert "give or take" in verdict.words[0]


def test_one_block_tells_nothing_of_how_sure_an_error_is(tmp_path):
    assert not with_blocks(tmp_path, "error", [-0.4]).verdict().better


def test_blocks_outlive_a_kill(tmp_path, add, tiny_codec):
    kept = Guard(tmp_path, "error")
    kept.begin(dict(START), [0.1, 0.2])
    kept.add(10, START | {"error": 0.02}, {}, tiny_codec._network, [0.05, 0.06])
    again = Guard(tmp_path, "error")
    assert again.rows == kept.rows
    assert again.verdict() == kept.verdict()


def test_realism_that_costs_realism_0_half_a_decibel_is_refused(guard, add):
    before = {"fidelity error": 0.1, "fidelity residual": 1.0}
    kept = guard()
    kept.rows[0].figures.update(before)
    add(kept, 10, texture=0.1, **(before | {"fidelity error": 0.115}))
    verdict = kept.verdict()
    assert not verdict.better
    assert "estimated error at realism 0 rose by 0.61 dB" in verdict.words[-1]
    add(kept, 20, texture=0.2, **(before | {"fidelity error": 0.105}))
    verdict = kept.verdict()
    assert verdict.step == 20
    assert "estimated error at realism 0: 0.21 dB of PSNR lost" in verdict.words


def test_psnr_that_is_gained_is_called_so():
    from napari_rdpdenoise.finetune.figures import side_effects

    less, more = {"error": 0.05}, {"error": 0.1}
    assert side_effects(more, less, of_texture=True) == [
        "estimated error against the truth: 3.01 dB of PSNR gained"
    ]
    assert side_effects(less, more, of_texture=True)[0].endswith("3.01 dB of PSNR lost")
