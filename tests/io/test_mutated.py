"""Files in which some bytes were changed: read, or refused in an error that names them."""

from __future__ import annotations

import io
import shutil
import warnings

import numpy as np
import pytest
import tifffile
import zarr

from napari_rdpdenoise.io import list_images, open_image

PIXELS = np.random.default_rng(0).integers(0, 999, (3, 40, 48)).astype(np.uint16)
TIFFS = {
    "run": {},
    "big": {"bigtiff": True, "compression": "packbits"},
    "strips": {"rowsperstrip": 8, "compression": "zlib"},
    "differences": {"compression": "lzw", "predictor": True},
    "tiles": {"tile": (16, 16), "compression": "zlib"},
    "OME": {"ome": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
    "ImageJ": {"imagej": True, "metadata": {"axes": "TYX"}},
}
MUTATIONS = 25


def changed(rng, data, most):
    """Some bytes changed, more of them at the beginning, where the structure is."""
    data = bytearray(data)
    for _ in range(rng.integers(1, most)):
        place = rng.integers(4, min(len(data), rng.choice([300, 1000, 10**6])))
        data[place] = rng.choice([0, 1, 127, 255, rng.integers(256)])
    return bytes(data)


def read_or_named(path):
    for step in (read, list_images):
        words = refusal(step, path)
        assert words is None or words.startswith(("image: ", "axes: ", "series: ")), words


def refusal(step, path):
    """Words of the error; None where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            step(path)
        except (ValueError, TypeError, OSError) as error:
            return str(error)
    return None


def read(path):
    image = open_image(path)
    try:
        for index in np.ndindex(*(min(size, 3) for size in image.shape[:-2])):
            image.read(index, slice(0, 64), slice(0, 64))
    finally:
        image.close()


@pytest.mark.parametrize("kind", TIFFS)
def test_mutated_tiffs(tmp_path, kind):
    file = io.BytesIO()
    tifffile.imwrite(file, PIXELS, **TIFFS[kind])
    rng = np.random.default_rng(len(kind))
    for number in range(MUTATIONS):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(changed(rng, file.getvalue(), 6))
        read_or_named(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("part", ["metadata", "group", "chunk"])
def test_mutated_zarrs(tmp_path, version, part):
    group = zarr.create_group(tmp_path / "whole.zarr", zarr_format=version)
    array = group.create_array("0", shape=PIXELS.shape, chunks=(1, 40, 48), dtype=PIXELS.dtype)
    array[...] = PIXELS
    scale = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
    multiscale = {
        "axes": [
            {"name": name, "type": kind} for name, kind in zip("tyx", ["time", "space", "space"], strict=True)
        ],
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    attributes = {"multiscales": [multiscale], "omero": {"channels": [{"label": "GFP"}]}}
    group.update_attributes({"ome": attributes} if version == 3 else attributes)
    names = {
        "metadata": "0/zarr.json" if version == 3 else "0/.zarray",
        "group": "zarr.json" if version == 3 else ".zattrs",
        "chunk": "0/c/1/0/0" if version == 3 else "0/1.0.0",
    }
    rng = np.random.default_rng(version)
    for number in range(MUTATIONS):
        path = shutil.copytree(tmp_path / "whole.zarr", tmp_path / f"{number}.zarr")
        file = path / names[part]
        data = file.read_bytes()
        if rng.random() < 0.5:  # another number, or none, where one was
            digits = [k for k, byte in enumerate(data) if chr(byte).isdigit()]
            place = int(rng.choice(digits or range(len(data))))
            put = rng.choice(["0", "-1", "99999999999", "null", '"x"', "[]", "{}", "1.5"])
            file.write_bytes(data[:place] + put.encode() + data[place + 1 :])
        else:
            file.write_bytes(changed(rng, data, 4))
        read_or_named(path)
