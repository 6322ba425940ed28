"""The measure of a lattice: what moves with the latents' grid, and nothing else."""

import pytest
import torch

from napari_rdpdenoise.train.phase import Window, dependence

CROP = 160


@pytest.fixture
def noise():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator)


@pytest.fixture
def window():
    return Window(3, 13, CROP - 16)


def _lattice(noise, window):
    """A texture with the period of the latents, on the grid and on the grid of the window."""
    tile = noise(1, 1, 8, 8)
    return window.of(tile.repeat(1, 1, 20, 20)), tile.repeat(1, 1, 18, 18)


def _share(a, b, m, n):
    return dependence((a, b), (m, n))


def test_a_lattice_counts_whole(noise, window):
    fixed, moved = _lattice(noise, window)
    assert dependence((fixed, fixed), (moved, moved)).item() == pytest.approx(1.0, abs=0.2)


def test_a_lattice_whose_sign_follows_the_content_counts_as_much(noise, window):
    fixed, moved = _lattice(noise, window)
    content = torch.sign(torch.sin(torch.arange(window.side) / 5))
    here, there = fixed * content, moved * content
    share = dependence((here, here), (there, there))
    assert share.item() == pytest.approx(1.0, abs=0.2)


def test_texture_of_the_image_and_grain_do_not_count(noise):
    shape = (8, 1, CROP - 16, CROP - 16)
    edges, grains = noise(*shape), [noise(*shape) for _ in range(4)]
    assert _share(edges, edges, edges, edges).abs().max() == 0
    assert _share(*grains).mean().abs() < 0.02
    assert _share(*(edges + grain for grain in grains)).mean().abs() < 0.02


def test_half_lattice_half_grain_counts_half(noise, window):
    fixed, moved = _lattice(noise, window)
    grains = (noise(64, *fixed.shape[1:]) for _ in range(4))
    lattices = (fixed, fixed, moved, moved)
    share = _share(*(lattice + grain for lattice, grain in zip(lattices, grains, strict=True))).mean()
    assert share.item() == pytest.approx(0.5, abs=0.1)


def test_a_flat_part_counts_like_a_structured_one(noise, window):
    fixed, moved = _lattice(noise, window)
    level = torch.ones(window.side)
    level[: window.side // 2] = 0.5
    assert _share(*(part * level for part in (fixed, fixed, moved, moved))).item() > 0.75


def test_no_texture_has_no_share(window):
    still = torch.full((1, 1, window.side, window.side), 1e-6)
    assert _share(still, still, still, still).item() == 0


def test_windows_lie_off_the_grid_and_inside():
    torch.manual_seed(0)
    drawn = [Window.draw(CROP) for _ in range(300)]
    assert all((w.y, w.x) != (0, 0) and max(w.y, w.x) < 16 and w.side == CROP - 16 for w in drawn)
    assert len({(w.y, w.x) for w in drawn}) > 100
    image = torch.zeros(2, 1, CROP, CROP)
    assert drawn[0].of(image).shape == (2, 1, CROP - 16, CROP - 16)
