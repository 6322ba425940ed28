"""Flow decoder: where it starts, what its constraints hold, and what its random numbers depend on."""

from __future__ import annotations

import pytest
import torch

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoder_names import DecoderMissing
from napari_rdpdenoise.nn.decoders.flow import pixel_noise
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.decoders.sampling import PLAIN, Sampling
from napari_rdpdenoise.nn.network import RdpNetwork

SIZES = {"quarter_channels": 32, "eighth_channels": 32, "latent_channels": 16, "hyper_channels": 16}
BOTH = ("fidelity", "flow")


def _network(*, trained: bool) -> RdpNetwork:
    torch.manual_seed(3)
    network = RdpNetwork(NetworkConfig(**SIZES, planes=3, detail_channels=8, flow=True)).eval()
    if trained:  # weights that do something
        with torch.no_grad():
            for name, parameter in network.flow_decoder().named_parameters():
                if name.startswith("leave") or "modulation" in name:
                    parameter.normal_(0, 0.1)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def network() -> RdpNetwork:
    return _network(trained=True)


@pytest.fixture(scope="module")
def latents(network: RdpNetwork) -> tuple[torch.Tensor, ...]:
    return network.rounded(network.analysis(torch.randn(2, 1, 64, 96)), torch.tensor([0.4, 0.9]))


def _drawn(network, latents, sampling=PLAIN):
    return network.decode(latents, torch.tensor([0.4, 0.9]), BOTH, (Place(1), Place(2)), sampling)


def _away(images) -> float:
    return float((images["flow"] - images["fidelity"]).square().mean().sqrt())


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_without_training_a_sample_is_the_fidelity_decode(steps):
    network = _network(trained=False)
    latents = network.rounded(network.analysis(torch.randn(2, 1, 64, 96)), torch.tensor([0.4, 0.9]))
    images = _drawn(network, latents, Sampling(steps))
    torch.testing.assert_close(images["flow"], images["fidelity"], atol=1e-5, rtol=0)


def test_a_sample_is_made_of_the_same_latents_whoever_is_asked_for_as_well(network, latents):
    alone = network.decode(latents, torch.tensor([0.4, 0.9]), ("flow",), (Place(1), Place(2)))
    assert torch.equal(alone["flow"], _drawn(network, latents)["flow"])


def test_without_constraints_nothing_is_encoded_again(network, latents, monkeypatch):
    plain = _drawn(network, latents)["flow"]
    monkeypatch.setattr(type(network.analysis), "forward", None)
    assert torch.equal(_drawn(network, latents, Sampling(kd=0.0, kp=0.0))["flow"], plain)


def test_the_first_constraint_holds_a_sample_near_the_fidelity_decode(network, latents):
    away = [_away(_drawn(network, latents, Sampling(kd=kd))) for kd in (0.0, 0.25, 0.5, 1.0)]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.8 * away[0]


@pytest.mark.parametrize("exact", [False, True])
def test_the_second_constraint_takes_the_step_of_its_gradient(network, latents, exact):
    flow, fidelity = network.flow_decoder(), network.decode(latents, torch.tensor([0.4, 0.9]))["fidelity"]
    given, rate, noise = flow.given(latents), torch.tensor([0.4, 0.9]), torch.zeros_like(fidelity)

    def again(image):  # linear, of a symmetric operator, so that its gradient is known
        return 0.5 * image.roll(1, -1) + 0.5 * image.roll(-1, -1)

    free = flow.sample(fidelity, given, rate, noise, Sampling(1), again)
    held = flow.sample(fidelity, given, rate, noise, Sampling(1, kp=1.0, exact=exact), again)
    left = again(free) - fidelity
    torch.testing.assert_close(held, free - 0.5 * (again(left) if exact else left), atol=1e-5, rtol=1e-5)


def test_the_true_gradient_can_be_asked_for_where_nothing_is_recorded(network, latents):
    with torch.inference_mode():
        inside = tuple(part.clone() for part in latents)
        images = _drawn(network, inside, Sampling(2, kp=0.5, exact=True))
    assert torch.isfinite(images["flow"]).all()
    assert _away(images) != _away(_drawn(network, latents, Sampling(2, kp=0.5)))


@pytest.mark.parametrize("change", [{"rho": 0.0}, {"steps": 2}, {"sample": 1}])
def test_what_is_asked_for_changes_the_sample(network, latents, change):
    assert not torch.equal(
        _drawn(network, latents, Sampling(**change))["flow"], _drawn(network, latents)["flow"]
    )


def test_several_samples_are_averaged(network, latents):
    single = [_drawn(network, latents, Sampling(sample=k))["flow"] for k in range(3)]
    mean = _drawn(network, latents, Sampling(samples=3))["flow"]
    torch.testing.assert_close(mean, sum(single) / 3, atol=1e-6, rtol=1e-6)


def test_random_numbers_are_those_of_the_place():
    whole = pixel_noise(torch.zeros(1, 1, 64, 96), (Place(7, 0, 0),))
    part = pixel_noise(torch.zeros(1, 1, 32, 48), (Place(7, 16, 40),))
    assert torch.equal(part, whole[..., 16:48, 40:88])
    others = [
        pixel_noise(torch.zeros(1, 1, 64, 96), (Place(8),)),
        pixel_noise(torch.zeros(1, 1, 64, 96), (Place(7),), 1),
    ]
    for other in others:
        assert abs(float((other * whole).mean())) < 0.05
        assert abs(float(other.std()) - 1) < 0.05


def test_a_network_without_it_says_so():
    network = RdpNetwork(NetworkConfig(**SIZES))
    with pytest.raises(
        DecoderMissing, match="flow: this network has no flow decoder, expected one of fidelity"
    ):
        network.flow_decoder()
