"""A mask beside a file, in hand or in a file of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise import denoise_file
from napari_rdpdenoise.io import open_image

PIXELS = np.random.default_rng(0).poisson(40, (2, 70, 90)).astype(np.uint16)
MASK = np.zeros((70, 90), bool)
MASK[20:40, 30:60] = True
OPTIONS = {"rate": 0.5, "structure": "none", "device": "cpu"}


@pytest.fixture
def stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True, metadata={"axes": "TYX"})
    return tmp_path / "a.tif"


def pixels(path):
    source = open_image(path)
    found = np.array([source.read((t,), slice(0, 70), slice(0, 90)) for t in range(2)])
    source.close()
    return found


def written(folder, mask, kind):
    path = folder / f"mask.{kind}"
    if kind == "npy":
        np.save(path, mask)
    else:
        tifffile.imwrite(path, mask.astype(np.uint8) * 255)
    return str(path)


@pytest.mark.parametrize("mask", [MASK, np.stack([MASK, ~MASK])], ids=["of a plane", "of all planes"])
@pytest.mark.parametrize("given", ["array", "npy", "tif"])
@pytest.mark.filterwarnings("ignore")
def test_what_a_mask_covers_comes_out_as_it_went_in(stack, tmp_path, tiny_codec, given, mask):
    beside = mask if given == "array" else written(tmp_path, mask, given)
    outcome = denoise_file(stack, tmp_path / "r.ome.tif", model=tiny_codec, invalid=beside, **OPTIONS)
    result, covered = pixels(outcome.path), np.broadcast_to(mask, PIXELS.shape)
    assert np.array_equal(result[covered], PIXELS[covered])
    assert (result != PIXELS)[~covered].mean() > 0.3
    kept = json.loads(outcome.record.read_text())["settings"].get("invalid", "auto")
    assert kept == ("auto" if given == "array" else beside)


@pytest.mark.filterwarnings("ignore")
def test_the_mask_is_a_part_of_what_a_run_goes_on_with(stack, tmp_path, tiny_codec):
    first = denoise_file(stack, tmp_path / "r.ome.tif", model=tiny_codec, invalid=MASK, **OPTIONS)
    before = pixels(first.path)
    again = denoise_file(
        stack, tmp_path / "r.ome.tif", model=tiny_codec, invalid=~MASK, overwrite=True, **OPTIONS
    )
    assert not np.array_equal(before, pixels(again.path))


@pytest.mark.filterwarnings("ignore")
def test_masks_that_do_not_fit_or_are_not_there_are_refused_by_name(stack, tmp_path, tiny_codec):
    for mask in (MASK[:9], np.zeros(90), np.zeros((3, 70, 90))):
        with pytest.raises(ValueError, match="invalid: expected a mask"):
            denoise_file(stack, tmp_path / "r.ome.tif", model=tiny_codec, invalid=mask, **OPTIONS)
    path = str(tmp_path / "none.tif")
    with pytest.raises(FileNotFoundError, match=r"invalid: expected a mask at .*none\.tif"):
        denoise_file(stack, tmp_path / "r.ome.tif", model=tiny_codec, invalid=path, **OPTIONS)
    path = written(tmp_path, MASK, "ome.tif")
    with pytest.raises(ValueError, match="target: expected a place of its own"):
        denoise_file(stack, tmp_path / "mask.ome.tif", model=tiny_codec, invalid=path, **OPTIONS)
    assert not (tmp_path / "r.ome.tif").exists()
