"""The codec as Zarr uses it: found by its name, written and read like any other."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.store import CODEC_NAME
from napari_rdpdenoise.store.container import StoreError
from napari_rdpdenoise.store.zarr_codec import RdpDenoiseCodec

ROOT = Path(__file__).parents[2]
READ = "import sys, zarr; print(zarr.open_array(sys.argv[1], mode='r')[...].sum())"
WITHOUT = "import importlib.metadata as m; m.entry_points = lambda **kind: m.EntryPoints(()); "
CODEC = RdpDenoiseCodec(rate=0.5, noise=(2.0, 100.0, 3.0), residual="1")


def array_of(path, image, codec=CODEC, **options):
    options = {"chunks": (1, *image.shape[-2:]), **options}
    array = zarr.create_array(
        path, shape=image.shape, dtype=image.dtype, serializer=codec, compressors=None, **options
    )
    array[...] = image
    return array


def opened(path, **view):
    from napari_rdpdenoise.store.reading import viewed
    from napari_rdpdenoise.store.view import current_view

    return viewed(zarr.open_array(path, mode="r"), current_view(**view))


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_an_array_is_written_denoised_and_read(tmp_path, stack, dtype):
    image = stack().astype(dtype)
    array_of(tmp_path / "a.zarr", image)
    array = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert array.dtype == image.dtype
    found = array[...].astype(float)
    spread = np.abs(np.diff(found, axis=-1)).mean()
    assert spread < 0.6 * np.abs(np.diff(image.astype(float), axis=-1)).mean()
    assert np.abs(found.mean() - image.mean()) < 1
    kept = opened(tmp_path / "a.zarr", layer="original")[...].astype(float)
    assert np.abs(kept - image).max() < 0.5 * 2 * np.sqrt(2 * image.max()) + 0.5


@pytest.mark.parametrize("shards", [None, (2, 96, 128)])
def test_planes_are_independent(tmp_path, stack, shards):
    image = stack((4, 96, 128))
    array = array_of(tmp_path / "a.zarr", image, shards=shards)
    before = array[...]
    array[1] = image[2]
    after = array[...]
    np.testing.assert_array_equal(after[[0, 2, 3]], before[[0, 2, 3]])
    np.testing.assert_array_equal(after[1], before[2])


def test_chunks_may_hold_planes_and_end_beyond_the_array(tmp_path, stack):
    image = stack((3, 96, 128))
    array = array_of(tmp_path / "a.zarr", image, chunks=(2, 64, 80))
    assert np.abs(array[...].astype(float) - image).mean() < 20
    kept = opened(tmp_path / "a.zarr", layer="original")[...].astype(float)
    assert np.abs(kept - image).max() < 60


def test_what_is_empty_stays_empty(tmp_path, stack):
    image = stack((3, 96, 128))
    image[1] = 0
    image[2] = 7
    array = array_of(tmp_path / "a.zarr", image, config={"write_empty_chunks": True})
    np.testing.assert_array_equal(array[1:], image[1:])


@pytest.mark.parametrize("residual", ["lossless"])
def test_without_a_model_pixels_stay(tmp_path, stack, residual):
    image = stack()
    array = array_of(tmp_path / "a.zarr", image, RdpDenoiseCodec("", residual=residual))
    np.testing.assert_array_equal(array[...], image)


def test_the_configuration_comes_back(tmp_path, stack):
    array_of(tmp_path / "a.zarr", stack((1, 64, 64)))
    (codec,) = zarr.open_array(tmp_path / "a.zarr").metadata.codecs
    assert codec == CODEC
    assert "realism" not in CODEC.to_dict()["configuration"]
    seen = RdpDenoiseCodec(realism=0.5, layer="original")
    assert RdpDenoiseCodec.from_dict(seen.to_dict()) == seen
    assert RdpDenoiseCodec.from_dict(CODEC.to_dict()) == CODEC
    assert RdpDenoiseCodec.from_dict({**CODEC.to_dict(), "name": "rdpdenoise"}) == CODEC


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"residual": "2"}, "residual: expected one of 1, 0.5, lossless, none, found '2'"),
        ({"rate": 1.5}, "rate: expected a number from 0 to 1 or 'auto', found 1.5"),
    ],
)
def test_a_wrong_configuration_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        RdpDenoiseCodec(**wrong)


def test_what_a_newer_version_would_write_is_refused():
    with pytest.raises(ValueError, match="found strength; update"):
        RdpDenoiseCodec.from_dict({"name": CODEC_NAME, "configuration": {"strength": 1}})


@pytest.mark.parametrize("dtype", ["bool", "complex64", "int64"])
def test_an_array_that_is_no_image_is_refused(tmp_path, dtype):
    with pytest.raises(TypeError, match="image: expected dtype"):
        zarr.create_array(
            tmp_path / "a.zarr",
            shape=(8, 8),
            chunks=(8, 8),
            dtype=dtype,
            serializer=CODEC,
            compressors=None,
        )


def test_zarr_alone_finds_the_installed_codec(tmp_path, stack):
    """The entry point of pyproject.toml, as an installation leaves it."""
    array_of(tmp_path / "a.zarr", stack((1, 64, 64)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "site" / "napari_rdpdenoise-9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: napari-rdpdenoise\nVersion: 9\n", encoding="utf-8")
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["zarr.codecs"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[zarr.codecs]", *lines]), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = python(READ, tmp_path / "a.zarr", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == zarr.open_array(tmp_path / "a.zarr")[...].sum()


def test_without_the_package_zarr_names_it(tmp_path, stack):
    array_of(tmp_path / "a.zarr", stack((1, 64, 64)))
    done = python(WITHOUT + READ, tmp_path / "a.zarr")
    assert done.returncode != 0
    assert "Unknown codec: 'napari-rdpdenoise'" in done.stderr


def test_the_entry_in_the_metadata_loads_no_torch():
    code = "import sys, napari_rdpdenoise.store.zarr_codec; print('torch' in sys.modules)"
    assert python(code).stdout.strip() == "False"


def test_an_array_with_its_view_travels(tmp_path, stack):
    array_of(tmp_path / "a.zarr", stack((1, 64, 64)))
    kept = opened(tmp_path / "a.zarr", layer="original")
    there = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(there[...], kept[...])
    assert (kept[...] != zarr.open_array(tmp_path / "a.zarr")[...]).any()


def test_a_missing_model_is_named(tmp_path, stack, monkeypatch):
    from napari_rdpdenoise.store import chunk

    array_of(tmp_path / "a.zarr", stack((1, 64, 64)))
    monkeypatch.setattr(chunk, "_KNOWN", {})
    monkeypatch.setattr("napari_rdpdenoise.codec.library.list_models", tuple)
    with pytest.raises(FileNotFoundError, match="model: expected the one that coded this store"):
        zarr.open_array(tmp_path / "a.zarr")[...]


def test_a_damaged_chunk_is_one_named_error_and_the_rest_is_read(tmp_path, stack):
    image = stack((3, 64, 64))
    array = array_of(tmp_path / "a.zarr", image)
    before = array[...]
    for damage in (b"", b"RDPS", b"\x93NUMPY", (tmp_path / "a.zarr/c/0/0/0").read_bytes()[:-9]):
        (tmp_path / "a.zarr/c/1/0/0").write_bytes(damage)
        with pytest.raises(StoreError, match=r"^chunk: expected"):
            array[1]
        np.testing.assert_array_equal(array[0], before[0])
        np.testing.assert_array_equal(array[2], before[2])


def test_a_chunk_of_another_array_is_refused(tmp_path, stack):
    array_of(tmp_path / "a.zarr", stack((1, 64, 64)))
    other = array_of(tmp_path / "b.zarr", stack((1, 64, 48)))
    (tmp_path / "b.zarr/c/0/0/0").write_bytes((tmp_path / "a.zarr/c/0/0/0").read_bytes())
    with pytest.raises(StoreError, match="of at most 64 x 48 pixels, found uint16 of 64 x 64"):
        other[...]
