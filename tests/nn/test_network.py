"""Networks: their cost, their sizes, and gains that make one network cover every rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from napari_rdpdenoise.codec.models import build_network, network_tensors
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.layers import RateGains, ResidualBlock
from napari_rdpdenoise.nn.network import RdpNetwork, count_macs

SMALL = NetworkConfig(
    quarter_channels=32,
    eighth_channels=32,
    latent_channels=16,
    hyper_channels=16,
    encoder_blocks=(1, 1),
    decoder_blocks=(1, 1),
    realism=True,
)


@pytest.mark.parametrize(
    ("recipe", "most"),
    [("fluo-light/train", 60_000), ("fluo-base/train", 160_000)],
)
def test_cost_and_weight_stay_in_the_budget(recipe, most):
    settings = Path(__file__).parents[2] / "models" / f"{recipe}.yaml"
    network = RdpNetwork(NetworkConfig(**yaml.safe_load(settings.read_text())["network"]))
    assert 0.5 * most < count_macs(network) <= most
    assert sum(t.numel() * 2 for t in network_tensors(network).values()) <= 16 * 2**20


def test_cost_of_one_convolution_is_counted_right():
    network = RdpNetwork(SMALL)
    before = count_macs(network)
    network.analysis.layers.append(torch.nn.Conv2d(16, 16, 3, 1, 1))
    assert count_macs(network) - before == pytest.approx(16 * 16 * 9 / 64)


def test_gains_are_continuous_in_the_rate_and_reach_both_ends():
    torch.manual_seed(0)
    gains = RateGains(4, 5)
    torch.nn.init.normal_(gains.log_gain)
    rates = torch.linspace(0, 1, 4001)
    gain, inverse = gains(rates)
    assert gain.shape == inverse.shape == (4001, 4, 1, 1)
    steepest = 4 * gains.log_gain.diff(dim=0).abs().max()  # per unit of rate, of the logarithm
    assert gain.log().diff(dim=0).abs().max() <= steepest / 4000 + 1e-5
    torch.testing.assert_close(gain[0, :, 0, 0], gains.log_gain[0].exp())
    torch.testing.assert_close(gain[-1, :, 0, 0], gains.log_gain[-1].exp())
    torch.testing.assert_close(gain[1000, :, 0, 0], gains.log_gain[1].exp())


def test_gains_start_finer_with_more_rate_and_undo_each_other():
    gain, inverse = RateGains(2, 8)(torch.linspace(0, 1, 50))
    assert (gain.diff(dim=0) > 0).all()
    torch.testing.assert_close(gain * inverse, torch.ones_like(gain))


def test_residual_block_starts_near_the_identity():
    torch.manual_seed(0)
    x = torch.randn(1, 32, 8, 8)
    assert (ResidualBlock(32)(x) - x).detach().std() < 0.1


def test_training_pass_gives_image_bits_and_gradients():
    torch.manual_seed(0)
    network = RdpNetwork(SMALL)
    out = network(torch.randn(2, 1, 64, 48), torch.tensor([0.1, 0.9]))
    assert out.image.shape == (2, 1, 64, 48)
    assert out.bits.shape == (2,)
    assert out.bits[1] > out.bits[0] > 0
    (out.image.square().mean() + out.bits.mean() * 1e-4).backward()
    parts = (network.analysis, network.gains, network.get_submodule("fidelity"))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for part in parts for p in part.parameters())


def test_shipped_tensors_make_the_same_network():
    torch.manual_seed(0)
    network = RdpNetwork(SMALL).eval()
    again = build_network(SMALL, network_tensors(network))
    twice = build_network(SMALL, network_tensors(again))
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again.analysis(x), network.analysis(x), atol=1e-2, rtol=1e-2)
        assert torch.equal(*again.analysis(x), *twice.analysis(x))


def test_preparing_the_coder_leaves_parameters_and_state_alone():
    network = RdpNetwork(SMALL)
    names, shapes = list(network.state_dict()), [t.shape for t in network.state_dict().values()]
    count = len(list(network.parameters()))
    network.hyperprior.prepare_coder()
    assert list(network.state_dict()) == names
    assert [t.shape for t in network.state_dict().values()] == shapes
    assert len(list(network.parameters())) == count


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_tensors_of_another_network_are_refused(change):
    tensors = network_tensors(RdpNetwork(SMALL))
    name = "fidelity.layers.0.weight"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors["other"] = torch.zeros(1)
    else:
        tensors[name] = torch.zeros(1, 2, 3, 3)
    with pytest.raises(ValueError, match="do not fit the card's network"):
        build_network(SMALL, tensors)


def test_one_analysis_serves_every_rate():
    network = build_network(SMALL, network_tensors(RdpNetwork(SMALL)))
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 64, 64)).astype(np.float32))
    with torch.no_grad():
        features = network.analysis(image)
        bits = [network.quantize_and_count(features, torch.tensor([q])).bits.item() for q in (0.0, 0.5, 1.0)]
    assert bits == sorted(bits)
    assert bits[0] < bits[-1]
