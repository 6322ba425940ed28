"""Figures of two networks compared: decibels lost and gained, and what to say of them.

Figures are numbers by name, as `judge.Judge` and `simulated.SimulatedJudge` make them; of pairs, the scores
of ``train.validation``.
"""

from __future__ import annotations

import math

import numpy as np

Figures = dict[str, float]

_LEAST_ERROR = 0.01  # noise variances; smaller errors cannot be estimated


def error_loss(before: Figures, after: Figures) -> float:
    """PSNR lost by the estimated errors, dB; negative where it was gained."""
    old = size_of_error(before)
    return 10 * math.log10(max(old + after["error"] - before["error"], 1e-3 * old) / old)


def fidelity_loss(before: Figures, after: Figures) -> float:
    """PSNR lost by the fidelity decode, dB, where another decode decides; 0 where it has no figures."""
    if "fidelity error" not in before or "fidelity error" not in after:
        return 0.0
    names = {"error": "fidelity error", "residual": "fidelity residual"}
    old, new = ({n: row[name] for n, name in names.items()} for row in (before, after))
    return error_loss(old, new)


def exposed_loss(before: Figures, after: Figures) -> float:
    """PSNR lost on simulated exposures, dB; 0 where there are none."""
    old, new = (max(figures.get("exposed", 1.0), 1e-6) for figures in (before, after))
    return 10 * math.log10(new / old)


def size_of_error(figures: Figures) -> float:
    """The error that changes are measured against, noise variances.

    A noise estimate that is too large makes errors too small by as much. The best possible denoiser's error
    is half of error minus residual plus 1, whatever the estimate: a bound for where that happens. Simulated
    exposures, where there are any, have errors of about the same size, and are another.
    """
    bound = (figures["error"] - figures.get("residual", 1.0) + 1) / 2
    return max(figures["error"], bound, figures.get("exposed", 0.0), _LEAST_ERROR)


def pairs_score(figures: Figures) -> float:
    """Mean PSNR over the rates, dB; where realism is scored too, less 10 times its LPIPS."""
    psnr, lpips = _means_over_rates(figures)
    return psnr - (0.0 if lpips is None else 10 * lpips)


def pairs_words(before: Figures, after: Figures) -> str:
    """What changed on held-out pairs, in words."""
    (old, rough), (new, smooth) = _means_over_rates(before), _means_over_rates(after)
    words = f"{new - old:+.2f} dB on held-out pairs ({old:.2f} dB before)"
    if rough is None or smooth is None:
        return words
    return f"{words}, LPIPS at realism 1 {rough:.4g} before, {smooth:.4g} after; 0.1 of it counts as 1 dB"


def side_effects(before: Figures, after: Figures, *, of_texture: bool) -> list[str]:
    """What else changed, one sentence each; ``of_texture`` makes the estimated error one of these."""
    words = []
    if "error" in after and of_texture:
        words.append(f"estimated error against the truth: {_lost(error_loss(before, after))}")
    if "fidelity error" in after:
        words.append(f"estimated error at realism 0: {_lost(fidelity_loss(before, after))}")
    if "exposed" in after:
        words.append(f"error of simulated exposures: {_lost(exposed_loss(before, after))}")
        words.append(
            f"grid pattern in the added texture: {after['lattice']:.2f}, {before['lattice']:.2f} before"
        )
    if "residual" in after:
        words.append(
            f"removed {after['residual']:.3f} times the noise variance, {before['residual']:.3f} before"
        )
    if "mean" in after:
        words.append(f"mean intensity off by {after['mean']:+.2f} %, {before['mean']:+.2f} % before")
    return words


def _means_over_rates(figures: Figures) -> tuple[float, float | None]:
    """PSNR at realism 0, dB, and LPIPS at realism 1, where that is scored."""
    psnr = [v for n, v in figures.items() if " psnr@" in n and "realism" not in n]
    lpips = [v for n, v in figures.items() if "realism lpips@" in n]
    return float(np.mean(psnr)), float(np.mean(lpips)) if lpips else None


def _lost(decibels: float) -> str:
    """How much PSNR was lost or gained, without a sign that one has to think about."""
    return f"{abs(decibels):.2f} dB of PSNR {'gained' if decibels < 0 else 'lost'}"
