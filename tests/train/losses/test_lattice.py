"""The measure of a lattice: what repeats with 4 or 8 px, whatever its sign, and nothing else."""

import pytest
import torch

from napari_rdpdenoise.train.losses.lattice import repetition

SIDE = 160


@pytest.fixture
def noise():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator)


def _lattice(noise, period):
    return noise(4, 1, period, period).repeat(1, 1, SIDE // period, SIDE // period)


@pytest.mark.parametrize("period", [4, 8])
def test_a_lattice_is_found(noise, period):
    assert repetition(_lattice(noise, period)).min() > 0.3


def test_nothing_is_found_in_noise_of_any_grain(noise):
    white = noise(8, 1, SIDE, SIDE)
    blurred = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    assert repetition(white).max() < 0.02
    assert repetition(blurred).max() < 0.03


def test_a_lattice_whose_sign_follows_the_content_is_found(noise):
    content = torch.sin(torch.arange(SIDE) / 12)  # leaves nothing in the mean over blocks
    fixed = _lattice(noise, 4)
    assert repetition(fixed * content).min() > 0.6 * repetition(fixed).min()


def test_more_grain_less_lattice(noise):
    fixed, grain = _lattice(noise, 8), noise(4, 1, SIDE, SIDE)
    found = [repetition(fixed + share * grain).mean().item() for share in (0.0, 0.5, 1.0, 2.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.25 * found[0]


def test_edges_and_levels_are_no_lattice():
    image = torch.zeros(1, 1, SIDE, SIDE)
    image[..., 50:, 30:] = 10.0
    assert repetition(image).item() < 0.05
    assert repetition(image + 1000).item() == pytest.approx(repetition(image).item(), abs=0.02)
    assert repetition(torch.full((1, 1, SIDE, SIDE), 3.0)).item() == 0


def test_a_decoder_can_follow_it_downhill(noise):
    """Gradient steps on a texture take its lattice away and leave the grain."""
    texture = (_lattice(noise, 8) + 0.5 * noise(4, 1, SIDE, SIDE)).requires_grad_(True)
    start = repetition(texture).mean().item()
    step = torch.optim.Adam([texture], lr=0.02)
    for _ in range(40):
        step.zero_grad()
        repetition(texture).sum().backward()
        step.step()
    assert repetition(texture).mean().item() < 0.5 * start
    assert texture.std() > 0.5
