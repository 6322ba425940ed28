"""Critic: conditional, per sample, and its penalty pulls the slope towards one."""

from __future__ import annotations

import pytest
import torch

from napari_rdpdenoise.nn.critic import Critic, critic_loss


@pytest.fixture
def critic():
    torch.manual_seed(0)
    return Critic(16, channels=32)


def images(count=3):
    generator = torch.Generator().manual_seed(1)
    real, fake, fidelity = (torch.rand(count, 1, 64, 48, generator=generator) for _ in range(3))
    return real, fake, (fidelity, torch.randn(count, 16, 8, 6, generator=generator))


def test_every_sample_is_judged_by_itself(critic):
    real, _, given = images()
    alone = torch.cat([critic(real[k : k + 1], *(g[k : k + 1] for g in given)) for k in range(3)])
    torch.testing.assert_close(critic(real, *given), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_given_counts(critic, place):
    real, _, given = images()
    other = list(given)
    other[place] = other[place].flip(0)
    assert not torch.allclose(critic(real, *given)[0], critic(real, *other)[0], atol=1e-6)


def trained(penalty):
    """Distance and mean slope after some steps on smooth decodes against grainy images."""
    torch.manual_seed(0)
    critic = Critic(16, channels=32)
    real, fake, given = images()
    fake = torch.nn.functional.avg_pool2d(fake, 3, 1, 1)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.999))
    for _ in range(60):
        loss, distance = critic_loss(critic, real, fake, given, penalty)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    between = real.lerp(fake, 0.5).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between, *given).sum(), between)
    return float(distance), float(slope.flatten(1).norm(dim=1).mean())


def test_it_learns_to_tell_them_apart_and_the_penalty_bounds_its_slope():
    distance, slope = trained(10.0)
    assert distance > 0.1
    assert slope < 0.3 * trained(0.0)[1]
