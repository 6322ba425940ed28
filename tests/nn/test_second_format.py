"""Networks of the second format: neighbours and details, and that nothing of the first one changes."""

from __future__ import annotations

import pytest
import torch

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.entropy import Symbols
from napari_rdpdenoise.nn.network import Frames, RdpNetwork

SIZES = {"quarter_channels": 32, "eighth_channels": 32, "latent_channels": 16, "hyper_channels": 16}
FIRST = NetworkConfig(**SIZES, encoder_blocks=(1, 1), decoder_blocks=(1, 1))
SECOND = FIRST.model_copy(update={"planes": 3, "detail_channels": 8})
RATE = torch.tensor([0.3, 0.9])


def made(config: NetworkConfig) -> RdpNetwork:
    torch.manual_seed(5)
    network = RdpNetwork(config).eval().requires_grad_(False)
    network.hyperprior.prepare_coder()
    return network


@pytest.fixture(scope="module")
def network() -> RdpNetwork:
    return made(SECOND)


def frames(batch=2, size=(48, 32), seed=0) -> Frames:
    planes = torch.randn((batch, 3, *size), generator=torch.Generator().manual_seed(seed))
    return Frames(planes, torch.tensor([[1.0, 0.0], [1.0, 1.0]])[:batch])


def test_the_format_follows_from_the_sizes():
    assert [c.format for c in (FIRST, SECOND)] == [1, 2]
    assert [c.bounded for c in (FIRST, SECOND)] == [True, False]
    assert FIRST.model_copy(update={"detail_channels": 8}).format == 2
    assert "detail" not in " ".join(RdpNetwork(FIRST).state_dict())


def test_details_are_symbols_like_the_others(network):
    symbols = network.quantize(network.analysis(*frames()), RATE)
    assert [tuple(part.shape) for part in symbols] == [(2, 16, 6, 4), (2, 16, 3, 2), (2, 8, 12, 8)]
    assert network.hyperprior.kinds == ("y", "z", "d")
    assert network.symbol_channels == (16, 16, 8)
    gained = tuple(
        g(RATE)[0] * f for g, f in zip(network.all_gains, network.analysis(*frames()), strict=True)
    )
    for hat, latents in zip(network.hyperprior.dequantize(symbols), gained, strict=True):
        assert (hat - latents).abs().max() <= 0.5 + 1e-5


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_the_coder_returns_details_too(network, scale):
    features = tuple(part * scale for part in network.analysis(*frames()))
    symbols = network.quantize(features, RATE)
    for number, payloads in enumerate(network.hyperprior.encode(symbols)):
        assert len(payloads) == 1
        again = network.hyperprior.decode(payloads, (3, 2))
        assert all(torch.equal(a[0], b[number]) for a, b in zip(again, symbols, strict=True))


def test_shown_bits_are_those_of_the_bytes(network):
    latents = [torch.randn(1, c, n, n) * 0.8 for c, n in ((16, 32), (8, 64))]
    symbols, _, bits = network.hyperprior.quantize_and_count(*latents)
    torch.testing.assert_close(bits, network.hyperprior.estimated_bits(symbols))
    (parts,) = network.hyperprior.encode(symbols)
    assert float(bits) == pytest.approx(8 * sum(map(len, parts)), rel=0.02)
    assert network.hyperprior.estimated_bits(Symbols(*symbols[:2], symbols[2] * 0 + 40)) > bits


def test_a_neighbour_that_is_missing_changes_nothing_whatever_its_pixels(network):
    given = frames()
    other = given.planes.clone()
    other[0, 2] = torch.nan
    for a, b in zip(network.analysis(*given), network.analysis(other, given.presence), strict=True):
        assert torch.equal(a, b)
    other = given.planes.clone()
    other[0, 0] += 1
    assert not torch.equal(network.analysis(*given)[0], network.analysis(other, given.presence)[0])


def test_a_plane_alone_is_one_without_neighbours(network):
    planes, _ = frames()
    absent = network.analysis(planes, torch.zeros(2, 2))
    for a, b in zip(absent, network.analysis(planes[:, 1:2]), strict=True):
        assert torch.equal(a, b)


def test_symbols_do_not_depend_on_the_batch(network):
    together = network.quantize(network.analysis(*frames()), RATE)
    planes, presence = frames()
    for k in range(2):
        alone = network.quantize(network.analysis(planes[k : k + 1], presence[k : k + 1]), RATE[k : k + 1])
        assert all(torch.equal(a[0], b[k]) for a, b in zip(alone, together, strict=True))


def test_details_without_weight_leave_the_first_format():
    first, second = made(FIRST), made(SECOND.model_copy(update={"planes": 1}))
    state = second.state_dict() | first.state_dict()
    for name in ("fidelity.detail", "hyperprior.detail_analysis.1"):
        state |= {f"{name}.{part}": torch.zeros_like(state[f"{name}.{part}"]) for part in ("weight", "bias")}
    second.load_state_dict(state)
    image = frames().planes[:, 1:2]
    one, two = (n.quantize(n.analysis(image), RATE) for n in (first, second))
    assert torch.equal(one.y, two.y)
    assert torch.equal(one.z, two.z)
    one, two = (n.reconstruct(Frames(image), RATE)["fidelity"] for n in (first, second))
    assert torch.equal(one, two)


def test_training_reaches_every_part():
    torch.manual_seed(0)
    network = RdpNetwork(SECOND)
    planes, presence = frames()
    out = network(100 * planes, RATE, presence)  # so that hyper-latents do not all round to 0
    assert out.image.shape == (2, 1, 48, 32)
    (out.image.square().mean() + out.bits.mean() * 1e-4).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == ["hyperprior.bottleneck.quantiles"]
