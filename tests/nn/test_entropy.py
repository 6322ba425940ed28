"""Entropy model: symbols survive the range coder, and the bits shown are the bits written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from napari_rdpdenoise.nn import entropy
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.entropy import Hyperprior, Symbols

CONFIG = NetworkConfig(quarter_channels=32, eighth_channels=32, latent_channels=16, hyper_channels=16)


@pytest.fixture(scope="module")
def hyperprior() -> Hyperprior:
    torch.manual_seed(3)
    model = Hyperprior(CONFIG).eval().requires_grad_(False)
    model.prepare_coder()
    return model


def latents(shape=(1, 16, 32, 32), scale=2.0, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def test_symbols_stand_for_the_latents_up_to_rounding(hyperprior):
    y = latents()
    symbols = hyperprior.quantize(y)
    assert symbols.y.dtype == symbols.z.dtype == torch.int32
    assert symbols.z.shape == (1, 16, 16, 16)
    assert (hyperprior.dequantize(symbols)[0] - y).abs().max() <= 0.5 + 1e-5
    assert torch.equal(*hyperprior.rounded(y), *hyperprior.dequantize(symbols))


def test_symbols_stay_within_16_bits_and_both_sides_agree(hyperprior):
    y = latents(scale=1e5)
    symbols = hyperprior.quantize(y)
    assert (int(symbols.y.min()), int(symbols.y.max())) == (-32768, 32767)
    assert torch.equal(*hyperprior.rounded(y), *hyperprior.dequantize(symbols))


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 3000.0])
def test_coder_returns_the_symbols(hyperprior, scale):
    symbols = hyperprior.quantize(latents(scale=scale))
    (payloads,) = hyperprior.encode(symbols)
    again = hyperprior.decode(payloads, (16, 16))
    assert torch.equal(again.y, symbols.y)
    assert torch.equal(again.z, symbols.z)


def test_coder_takes_the_extremes_of_16_bits(hyperprior):
    y = torch.zeros(1, 16, 4, 4, dtype=torch.int32)
    z = torch.zeros(1, 16, 2, 2, dtype=torch.int32)
    y[0, 0, 0, 0], y[0, 1, 0, 0], z[0, 0, 0, 0], z[0, 1, 0, 0] = -32768, 32767, -32768, 32767
    again = hyperprior.decode(hyperprior.encode(Symbols(y, z))[0], (2, 2))
    assert torch.equal(again.y, y)
    assert torch.equal(again.z, z)


def test_estimated_bits_are_those_of_the_bytes(hyperprior):
    # as peaked as the model expects: a random model knows nothing of its latents
    symbols = hyperprior.quantize(latents((1, 16, 64, 64), scale=0.8))
    (parts,) = hyperprior.encode(symbols)
    assert float(hyperprior.estimated_bits(symbols)) == pytest.approx(8 * sum(map(len, parts)), rel=0.02)


@pytest.mark.parametrize("kind", ["y", "z"])
def test_the_cost_of_an_escape_is_what_the_coder_spends(hyperprior, kind):
    """Beyond its table a live symbol costs the escape and 16 bits."""
    coder = hyperprior._prepared()
    exact, table = (coder._coder, coder.cost) if kind == "y" else (coder._z_coder, coder.z_cost)
    places, nothing = np.arange(500), np.zeros(0, np.uint8)
    for row in np.flatnonzero(~exact.certain)[::5]:
        first, width = int(exact._offsets[row]), int(exact._escapes[row])
        for symbol in (first - 8, first - 1, first, first + width - 1, first + width + 1, first + width + 7):
            if abs(symbol) > table._reach:
                continue
            found = float(table(torch.tensor([row]).int(), torch.tensor([symbol]).int()))
            data = exact.encode(np.full(500, symbol), places, np.full(500, row), nothing)
            assert 8 * len(data) == pytest.approx(500 * found, rel=0.005, abs=160)


def test_counting_while_quantising_is_the_same(hyperprior):
    y = latents((3, 16, 16, 16))
    symbols, restored, bits = hyperprior.quantize_and_count(y)
    assert torch.equal(symbols.y, hyperprior.quantize(y).y)
    assert torch.equal(restored[0], hyperprior.dequantize(symbols)[0])
    torch.testing.assert_close(bits, hyperprior.estimated_bits(symbols))
    assert bits.shape == (3,)


def test_a_batch_is_coded_as_its_samples(hyperprior):
    symbols = hyperprior.quantize(latents((3, 16, 16, 16)))
    alone = [hyperprior.encode(Symbols(symbols.y[i : i + 1], symbols.z[i : i + 1]))[0] for i in range(3)]
    assert hyperprior.encode(symbols) == alone


def test_several_threads_may_code_at_once(hyperprior):
    symbols = [hyperprior.quantize(latents(seed=seed)) for seed in range(6)]
    expected = [hyperprior.encode(s) for s in symbols]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(hyperprior.encode, symbols)) == expected


def test_without_tables_the_coder_says_so():
    with pytest.raises(RuntimeError, match="prepare_coder"):
        Hyperprior(CONFIG).encode(Symbols(torch.zeros(1, 16, 2, 2), torch.zeros(1, 16, 1, 1)))


def test_training_rounds_but_lets_gradients_through():
    torch.manual_seed(0)
    model = Hyperprior(CONFIG)
    y = latents().requires_grad_()
    (y_hat,), bits = model(y)
    assert (y_hat - y).abs().max() <= 0.5 + 1e-5
    assert bits.shape == (1,)
    y_hat.sum().backward()
    assert y.grad is not None
    assert y.grad.abs().sum() > 0
    assert model.aux_loss().item() > 0


def test_bits_by_raw_scales_are_those_of_the_rows_of_the_coder(hyperprior):
    cost = hyperprior._prepared().cost
    raw = torch.cat([torch.linspace(-20, 20, 10_001), torch.linspace(20, 1000, 10_001)])[None, None, None]
    sigma = torch.nn.functional.softplus(raw) + entropy.SCALE_FLOOR
    rows = torch.bucketize(sigma, torch.tensor(entropy.SCALES[:-1]), out_int32=True)
    symbols = (torch.randn(raw.shape, generator=torch.Generator().manual_seed(0)) * sigma).round().int()
    assert float(cost.by_raw(raw, symbols)) == pytest.approx(float(cost(rows, symbols)), rel=1e-3)


def test_bits_are_those_of_any_order_of_memory(hyperprior):
    cost = hyperprior._prepared().cost
    raw, symbols = latents((2, 16, 5, 7), scale=4.0), latents((2, 16, 5, 7), seed=1).round().int()
    last = [part.contiguous(memory_format=torch.channels_last) for part in (raw, symbols)]
    for some in ((raw, last[1]), (last[0], symbols), last):
        torch.testing.assert_close(cost.by_raw(*some), cost.by_raw(raw, symbols))
