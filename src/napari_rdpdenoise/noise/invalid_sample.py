"""How invalid pixels of a channel are told from image: values, noise and limits, by a sample of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.constant import Limits, find_constant, unseen_limits
from napari_rdpdenoise.noise.drawn import is_drawn
from napari_rdpdenoise.noise.enlarged import find_enlargement
from napari_rdpdenoise.noise.estimate import estimate_noise
from napari_rdpdenoise.noise.fading import find_fading
from napari_rdpdenoise.noise.fill_values import describe_fill_value, find_fill_values, find_own_limits
from napari_rdpdenoise.noise.highlights import highlight_level
from napari_rdpdenoise.noise.invalid import MISSING_ONLY, InvalidRule, Screened, screen
from napari_rdpdenoise.noise.outlier_limit import Noise, dead_groups_limit, dead_limit, outlier_limit
from napari_rdpdenoise.noise.ramps import find_ramps, ramp_tolerance
from napari_rdpdenoise.noise.repeated import find_repeated, has_repeated
from napari_rdpdenoise.noise.saturation import saturation_level
from napari_rdpdenoise.noise.trend import Trend

_PASSES = 3  # of noise and defects, at most


def rule_of_values(windows: Sequence[NDArray[Any]], choice: float | str = "auto") -> InvalidRule:
    """What of a sample is not image by its values alone; arguments as of `screen_sample`."""
    if not isinstance(choice, str):
        return InvalidRule((describe_fill_value(windows, float(choice)),))
    repeated = has_repeated(windows)
    if repeated:  # a column that repeats one pixel is a region of one value
        windows = [np.where(find_repeated(window), np.nan, window) for window in windows]
    ramps = ramp_tolerance(windows)
    if ramps is not None:  # at its end is a region of one value
        windows = [np.where(find_ramps(window, ramps), np.nan, window) for window in windows]
    limits = find_own_limits(windows)
    if limits is not None:
        windows = [np.where(find_constant(window, limits), np.nan, window) for window in windows]
    return InvalidRule(find_fill_values(windows), repeated=repeated, ramps=ramps, constant=limits)


def screen_sample(
    windows: Sequence[NDArray[Any]],
    choice: float | str = "auto",
    given: Sequence[NDArray[np.bool_] | None] | None = None,
    others: Sequence[NDArray[Any]] = (),
) -> tuple[InvalidRule, list[Screened]]:
    """Rule of a channel from a sample of it, and the sample screened by it.

    Args:
        windows: 2-D arrays of raw counts, any real dtype.
        choice: Value that is not image, "auto" to look for such values, or "none", by which every finite
            number is image, defects of the camera included. A sample without noise is left alone by any.
        given: Pixels that the user declares invalid, by window; None for none.
        others: Further windows of the channel, in which only values that are not image are looked for.
    """
    masks = [None] * len(windows) if given is None else list(given)
    if is_drawn(windows) and find_enlargement(windows) is None:
        rule = InvalidRule(drawn=True)
        return rule, [screen(w, rule, mask) for w, mask in zip(windows, masks, strict=True)]
    if choice == "none":
        sample = [screen(w, MISSING_ONLY, mask) for w, mask in zip(windows, masks, strict=True)]
        return InvalidRule(saturation=saturation_level([part.masked for part in sample])), sample
    rule = rule_of_values([*windows, *others], choice)
    sample = [screen(w, rule, mask) for w, mask in zip(windows, masks, strict=True)]
    struck = [part.filled for part in sample]
    fading = None if rule.values else find_fading(windows)
    if fading is not None:
        rule = replace(rule, fading=float(sum(map(np.sum, fading)) / sum(window.size for window in windows)))
    for _ in range(_PASSES):  # the noise tells defects, and defects disturb the estimate of the noise
        before = _defects(sample)
        # defects stay in, filled: the few do not disturb the estimate, and holes would
        image: list[NDArray[Any]] = [part._replace(defects=None, highlights=None).masked for part in sample]
        if fading is not None:
            image = [_without(part, fade) for part, fade in zip(image, fading, strict=True)]
        noise = estimate_noise(image)
        rule = with_limits(replace(rule, noise=noise), struck, noise)
        sample = [screen(w, rule, mask) for w, mask in zip(windows, masks, strict=True)]
        if _defects(sample) == before:
            break
    shown = [part.masked for part in sample]
    rule = replace(rule, saturation=saturation_level(shown), unseen=_unseen_limits(shown, rule))
    if rule.noise is not None:
        rule = replace(rule, highlight=highlight_level(shown, rule.noise))
        sample = [screen(w, rule, mask) for w, mask in zip(windows, masks, strict=True)]
    return rule, sample


def screen_planes(
    windows: Sequence[NDArray[Any]],
    places: Sequence[Sequence[int]],
    rule: InvalidRule,
    trend: Trend,
    given: Sequence[NDArray[np.bool_] | None] | None = None,
) -> tuple[InvalidRule, list[Screened]]:
    """As `screen_sample`, where noise changes from plane to plane: limits that hold for each plane's own.

    Args:
        windows: 2-D arrays of raw counts, any real dtype.
        places: Indices of their planes in the whole image.
        rule: Rule that `screen_sample` gave.
        trend: How noise changes from plane to plane.
        given: Pixels that the user declares invalid, by window; None for none.
    """
    masks = [None] * len(windows) if given is None else list(given)
    regions = replace(rule, noise=None)
    struck = [screen(w, regions, mask).filled for w, mask in zip(windows, masks, strict=True)]
    noises = [trend.at(place) for place in places]
    rule = with_limits(replace(rule, trend=trend), struck, noises)
    rules = [rule.at(place) for place in places]
    return rule, [screen(w, own, mask) for w, own, mask in zip(windows, rules, masks, strict=True)]


def with_limits(rule: InvalidRule, struck: Sequence[NDArray[Any]], noise: Noise) -> InvalidRule:
    """A rule with the limits of defects that a sample tells.

    Args:
        rule: Rule without them.
        struck: 2-D arrays of raw counts, finite; defects are in, regions that are no image are filled.
        noise: Noise model of the channel, or of each array.
    """
    dead, groups = dead_limit(struck, noise), dead_groups_limit(struck, noise)
    return replace(rule, outliers=outlier_limit(struck, noise), dead=dead, dead_groups=groups)


def _without(image: NDArray[Any], left_out: NDArray[np.bool_]) -> NDArray[Any]:
    return np.ma.masked_array(np.asarray(image), np.ma.getmaskarray(image) | left_out)


def _unseen_limits(shown: Sequence[NDArray[Any]], rule: InvalidRule) -> Limits | None:
    return None if rule.noise is None or rule.constant is not None else unseen_limits(shown, rule.noise)


def _defects(sample: Sequence[Screened]) -> int:
    return sum(int(part.defects.sum()) for part in sample if part.defects is not None)
