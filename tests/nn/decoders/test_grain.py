from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_rdpdenoise.nn.decoders.grain import GRAIN_STRIDE, grain, random_grain
from napari_rdpdenoise.nn.decoders.place import Place, plane_seed

WHOLE = (60, 50)


@pytest.mark.parametrize(("y", "x"), [(0, 0), (64, 128), (8, 0)])
def test_a_part_is_a_part_of_the_whole(y, x):
    whole = grain(3, WHOLE, Place(5))
    part = grain(3, (20, 10), Place(5, y, x))
    rows, columns = y // GRAIN_STRIDE, x // GRAIN_STRIDE
    assert torch.equal(part, whole[:, rows : rows + 20, columns : columns + 10])


def test_numbers_are_near_normal_and_independent():
    numbers = grain(4, (200, 200), Place(1)).numpy().astype(np.float64)
    assert abs(numbers.mean()) < 0.01
    assert numbers.var() == pytest.approx(1, abs=0.02)
    assert 2.5 < (numbers**4).mean() < 3.1
    others = grain(4, (200, 200), Place(2)).numpy()
    for a, b in (
        (numbers[:, 1:], numbers[:, :-1]),
        (numbers[..., 1:], numbers[..., :-1]),
        (numbers[0], numbers[1]),
        (numbers, others),
    ):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_training_meets_the_same_kind_of_numbers():
    torch.manual_seed(0)
    numbers = random_grain(4, torch.zeros(2, 16, 50, 50)).double()
    assert numbers.shape == (2, 4, 100, 100)
    assert abs(float(numbers.mean())) < 0.02
    assert float(numbers.var()) == pytest.approx(1, abs=0.03)
    assert float(numbers.abs().max()) <= float(np.sqrt(12.0)) + 1e-3


def test_every_plane_and_seed_has_its_own():
    seeds = {plane_seed(seed, index) for seed in range(3) for index in ((), (0,), (1,), (0, 1), (1, 0))}
    assert len(seeds) == 15
    assert plane_seed(1, (np.int64(2),)) == plane_seed(1, (2,))
