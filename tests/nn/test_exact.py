"""What coder and decoder must agree on: computed exactly, whatever adds up in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn

from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.nn import coder, exact
from tests.support.hyper_layers import convolved_from_the_end, hyper_layers

UNIT = 2**27  # of what sums are whole numbers of


def whole(values, unit):
    """Whole numbers of units, as Python has them."""
    found = values.detach().double().numpy() / unit
    assert np.array_equal(found, np.rint(found))
    return np.vectorize(int, otypes=[object])(found)


def convolved(x, layer):
    """A convolution in integers of any size: (channels, rows, columns)."""
    return convolved_from_the_end(x, whole(layer.weight, 2.0**-16), whole(layer.bias, 2.0**-27))


@settings(max_examples=20)
@given(some.integers(0, 1000), some.sampled_from([0.05, 1.0, 4.0]), some.sampled_from([3.0, 400.0]))
def test_sums_are_exact(seed, size, reach):
    found = exact.ExactLayers(*hyper_layers(seed, 8, size))
    z = torch.from_numpy(np.random.default_rng(seed).normal(0, reach, (1, 5, 3, 4)))
    first, *_ = found._first
    into = exact._activation(z)
    between = convolved(whole(into[0], 2.0**-11), first)
    np.testing.assert_array_equal(whole(first(into)[0], 2.0**-27), between)
    last = exact._activation(nn.Sequential(*found._first)(into))
    for layer, out in zip(found._last, found(z), strict=True):
        inner = layer if isinstance(layer, nn.Conv2d) else layer[0]
        expected = convolved(whole(last[0], 2.0**-11), inner)
        reached = inner(last)[0]
        np.testing.assert_array_equal(whole(reached, 2.0**-27), expected)
        assert out.shape[1] in (2, 4)


def test_layers_stay_near_what_they_stand_for():
    first, last = hyper_layers(0, 8, 0.3)
    z = torch.from_numpy(np.random.default_rng(0).normal(0, 5, (1, 5, 3, 4)))
    found = exact.ExactLayers(first, last)(z)
    with torch.no_grad():
        x = first.double()(z)
        for layer, out in zip(last, found, strict=True):
            assert (layer.double()(x) - out).abs().max() < 0.02


def test_weights_that_are_too_large_are_refused():
    first, last = nn.Sequential(nn.Conv2d(20000, 1, 1)), [nn.Conv2d(1, 1, 1)]
    nn.init.constant_(first[0].weight, 8.0)
    with pytest.raises(ValueError, match="sums are exact in float64"):
        exact.ExactLayers(first, last)


def test_no_border_can_be_met():
    borders = exact.borders_between(coder.SCALES[:-1], coder.SCALE_FLOOR)
    place = borders.numpy() * UNIT
    np.testing.assert_array_equal(place - np.floor(place), 0.5)
    scales = np.log1p(np.exp(borders.numpy())) + coder.SCALE_FLOOR
    np.testing.assert_allclose(scales, coder.SCALES[:-1], rtol=1e-6)
    # far enough from whole units that a logarithm's last bits decide nothing
    raw = np.log(np.expm1(np.array(coder.SCALES[:-1]) - coder.SCALE_FLOOR)) * UNIT
    assert np.abs(raw - np.rint(raw)).min() > 1e-4


def test_probabilities_of_gaussians_are_far_from_ties():
    pmf, tail, reach = exact.gaussian_probabilities(coder.SCALES, 1e-9)
    parts = [row[: 2 * int(n) + 1] for row, n in zip(pmf, reach, strict=True)]
    assert min(exact.margin(part) for part in [*parts, tail]) > 1e-7  # float64 errs by 1e-11 at most
    for part, beyond in zip(parts, tail, strict=True):
        assert float(part.sum() + beyond) == pytest.approx(1, abs=1e-12)


def test_scales_are_the_same_everywhere():
    assert [scale * 2**16 for scale in coder.SCALES] == [round(s * 2**16) for s in coder.SCALES]
    assert (coder.SCALES[0], coder.SCALES[-1]) == (7209 / 2**16, 256.0)


def test_probabilities_of_models_are_far_from_ties(tiny_flow_model):
    for model in (tiny_flow_model, "default"):
        bottleneck = load_model(model, "cpu")._network.hyperprior.bottleneck.double()
        found = []
        to_cdf = bottleneck._pmf_to_cdf

        def watched(pmf, tail, length, longest, found=found, to_cdf=to_cdf):
            found.extend(row[:n] for row, n in zip(pmf, length, strict=True))
            found.append(tail)
            return to_cdf(pmf, tail, length, longest)

        bottleneck._pmf_to_cdf = watched
        bottleneck.update(force=True)
        assert min(exact.margin(part) for part in found) > 1e-8


def test_an_index_depends_on_no_other_tile(tiny_flow_model):
    prepared = load_model(tiny_flow_model, "cpu")._network.hyperprior._prepared()
    z = torch.from_numpy(np.random.default_rng(0).integers(-9, 9, (3, 16, 4, 5)))
    together = prepared._old_rows(z)
    for number in range(3):
        for alone, part in zip(prepared._old_rows(z[number : number + 1]), together, strict=True):
            torch.testing.assert_close(alone[0], part[number], rtol=0, atol=0)
