"""Rows of the coder's tables in whole numbers: exact in float32, and near what they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn

from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.nn import coder, scale_rows
from napari_rdpdenoise.nn.scale_rows import RowTable, ScaleRows, row_borders
from tests.support.hyper_layers import convolved_from_the_end, hyper_layers


def layers(seed, size=1.0):
    """A hyper-synthesis of random weights: first part, last layers, medians."""
    first, last = hyper_layers(seed, 16, size)
    return first, last, torch.from_numpy(np.random.default_rng(seed).normal(0, 1, (1, 5, 1, 1))).float()


def convolved(layer, x, unit):
    """A convolution in Python's integers, in units of the outputs: (channels, rows, columns)."""
    bias = [round(b / (u * unit)) for b, u in zip(layer.bias.tolist(), layer.unit.tolist(), strict=True)]
    weight = layer.weight.double().numpy().astype(int).astype(object)
    return convolved_from_the_end(x, weight, np.array(bias, object))


@settings(max_examples=25, deadline=None)
@given(some.integers(0, 1000), some.sampled_from([0.05, 1.0, 4.0]), some.sampled_from([0.2, 3.0, 400.0]))
def test_sums_are_exact(seed, size, reach):
    rows = ScaleRows(*layers(seed, size))
    z = torch.from_numpy(np.rint(np.random.default_rng(seed).normal(0, reach, (1, 5, 3, 4))).astype(np.int64))
    x = z.clamp(-255, 255)
    found = scale_rows._convolved(rows._first, x.float(), 1.0, 1.0)[0].double().numpy()
    exact = convolved(rows._first, x[0].numpy().astype(object), 1.0)
    np.testing.assert_array_equal(found, exact * rows._first.unit.numpy()[:, None, None])
    x = np.random.default_rng(seed).integers(-255, 256, (3, 6, 8))
    found = (
        scale_rows._convolved(rows._last, torch.from_numpy(x)[None].float(), 0.125, 1.0)[0].double().numpy()
    )
    exact = convolved(rows._last, x.astype(object), 0.125)
    np.testing.assert_array_equal(found, exact * rows._last.unit.numpy()[:, None, None] * 0.125)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 96)])
def test_sums_of_a_model_are_exact_at_the_largest_activations(size):
    """As float64 adds them up, which has bits to spare."""
    last = load_model("default", "cpu")._network.hyperprior._prepared()._raw._last
    whole = last._replace(bias=torch.round(last.bias / last.unit), unit=torch.ones_like(last.unit))
    signs = np.random.default_rng(0).choice([-255, -254, 253, 255], (1, last.weight.shape[1], *size))
    x = torch.from_numpy(signs)
    with torch.no_grad():
        found = scale_rows._convolved(whole, x.float(), 1.0, 1.0)
        exact = nn.functional.conv2d(x.double(), last.weight.double(), whole.bias, padding=1)
    assert torch.equal(found.double(), exact)
    assert exact.abs().max() < 2**24


@settings(max_examples=25, deadline=None)
@given(some.integers(0, 1000), some.sampled_from([1.0, 20.0]))
def test_layers_stay_near_what_they_stand_for(seed, reach):
    first, last, medians = layers(seed, 0.3)
    z = torch.from_numpy(np.rint(np.random.default_rng(seed).normal(0, reach, (1, 5, 3, 4))).astype(np.int64))
    found = ScaleRows(first, last, medians)(z)
    with torch.no_grad():
        x = first(z.float() + medians)
        for layer, raw in zip(last, found, strict=True):
            wanted = layer(x).chunk(2, 1)[1][0].numpy()
            assert raw.shape == wanted.shape
            assert np.abs(raw * scale_rows.RAW_STEP - wanted).max() < 0.04 * np.abs(wanted).max() + 0.02


def test_hyper_latents_that_are_all_zero_have_rows_too():
    rows = ScaleRows(*layers(0))
    for raw in rows(torch.zeros(1, 5, 2, 3, dtype=torch.int64)):
        assert np.isfinite(raw).all()


def test_weights_that_are_too_large_are_refused():
    first, last, medians = layers(0)
    last[0] = nn.Conv2d(3, 4, 151)
    nn.init.constant_(last[0].weight, 1.0)
    with pytest.raises(ValueError, match="sums are exact in float32"):
        ScaleRows(first, last, medians)


def test_borders_are_those_of_the_scales():
    borders = row_borders(coder.SCALES[:-1], coder.SCALE_FLOOR)
    assert (np.diff(borders) > 30).all()  # steps are much finer than rows
    # far enough from whole steps that a logarithm's last bits decide nothing
    raw = [math.log(math.expm1(scale - coder.SCALE_FLOOR)) for scale in coder.SCALES[:-1]]
    place = np.array(raw) / scale_rows.RAW_STEP
    assert np.abs(place - np.rint(place)).min() > 1e-6
    table = RowTable(borders)
    values = np.array(
        [-1e6, borders[0] - 0.1, borders[0], borders[0] + 0.9, borders[-1] - 1, borders[-1], 1e7]
    )
    assert table(values.astype(np.float32)).tolist() == [0, 0, 1, 1, 62, 63, 63]


@pytest.mark.parametrize("model", ["default", "photo-light"])
def test_rows_of_models_cost_no_more_than_those_in_more_bits(model):
    """Against layout 3: symbols as likely as its rows say."""
    hyperprior = load_model(model, "cpu")._network.hyperprior
    prepared, rng = hyperprior._prepared(), np.random.default_rng(0)
    z = torch.from_numpy(np.rint(rng.normal(0, 2, (1, len(prepared._z_coder.certain), 16, 16)))).int()
    z[:, torch.from_numpy(prepared._z_coder.certain)] = 0
    old, new = prepared._old_rows(z), prepared._raw(z)
    cost = [0.0, 0.0]
    for before, raw in zip(old, new, strict=True):
        scales = np.array(coder.SCALES)[before.numpy()]
        symbols = torch.from_numpy(np.rint(rng.normal(0, 0.95, scales.shape) * scales)).int()
        after = torch.from_numpy(prepared._rows(raw.ravel()).astype(np.int32)).reshape(before.shape)
        for number, rows in enumerate((before, after)):
            cost[number] += float(prepared.cost(rows, symbols).double().sum())
    assert cost[1] < 1.004 * cost[0]
