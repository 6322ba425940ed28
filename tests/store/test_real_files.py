"""Stores of real microscope files: what they promise, and that they are small."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import napari_rdpdenoise as rdp
from napari_rdpdenoise.store.about import store_info

FILES = {  # the most bits per pixel at a residual of 1, tiles alone
    "stacks/mitosis_tzcyx.ome.tif": 3.2,
    "series/calcium_cells_tyx.ome.tif": 4.5,
    "series/lattice_erythrocyte_zyx.ome.tif": 9.0,
    "stacks/drosophila_tyx.tif": 4.0,
}


@pytest.fixture
def cut(data_folder):
    """Two planes from the middle of a file, and their axes."""

    def planes(name):
        if not (path := data_folder / "data" / name).exists():
            pytest.skip(f"{name} is not in the folder of real images")
        source = rdp.open_image(path)
        index = tuple(size // 2 for size in source.shape[:-2])
        whole = slice(None), slice(None)
        return np.stack([source.read((*index[:-1], i), *whole) for i in (index[-1] - 1, index[-1])])

    return planes


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("residual", ["1", "lossless"])
def test_real_images_come_back(cut, tmp_path, name, residual):
    image = cut(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is doubtful of them is told
        rdp.create_store(
            image, tmp_path / "a.ome.zarr", residual=residual, axes="TYX", device="cpu", neighbours="none"
        )
    found = rdp.verify_store(tmp_path / "a.ome.zarr", image, axes="TYX")
    (channel,) = found.channels
    assert found.holds
    assert channel.denoised_mean == pytest.approx(channel.mean, rel=2e-3)
    kept = rdp.open_store(tmp_path / "a.ome.zarr", layer="original")[...]
    assert kept.dtype == image.dtype
    if residual == "lossless":
        np.testing.assert_array_equal(kept, image)
        return
    info = store_info(tmp_path / "a.ome.zarr")
    assert 8 * sum(info.coded.values()) / info.pixels < FILES[name]
    assert channel.worst == 0 or channel.added_noise < 0.06 or not math.isfinite(channel.rms)
