"""What a job reads: never written over, and known again without reading it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.io import ImageMetadata
from napari_rdpdenoise.io.origin import files_behind, refuse_overwriting
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.runner import run


@pytest.fixture
def codec(tiny_realism_codec):
    """A small model with both decoders."""
    return tiny_realism_codec


def array_job(data, axes, settings, target=None, path=None):
    return Job(data, target, settings, ImageMetadata(axes, name="cells"), path)


def _tree(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("a.tif", "a.tif"),
        ("a.tif", "b/../a.tif"),
        ("a.tif", "link.tif"),
        ("a.tif", "hard.tif"),
        ("raw.zarr", "raw.zarr"),
        ("raw.zarr", "raw.zarr/0.zarr"),
        ("raw.zarr/0", "raw.zarr"),
        ("raw.zarr", "alias/raw.zarr"),
        ("b.ome.zarr.partial", "b.ome.zarr"),
    ],
)
def test_the_input_is_never_written_over(codec, counts, fast, tmp_path, source, target):
    for folder in ("b", "raw.zarr/0", "b.ome.zarr.partial"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "zarr.json").write_text("precious")
    (tmp_path / "a.tif").write_text("precious")
    (tmp_path / "link.tif").symlink_to(tmp_path / "a.tif")
    (tmp_path / "alias").symlink_to(tmp_path)
    (tmp_path / "hard.tif").hardlink_to(tmp_path / "a.tif")
    before = _tree(tmp_path)
    settings = fast.replace(overwrite=True)
    job = array_job(counts((20, 20)), "YX", settings, tmp_path / target, str(tmp_path / source))
    with pytest.raises(ValueError, match=r"target: expected a place of its own, found .*choose another"):
        next(run(job, codec=codec))
    assert _tree(tmp_path) == before


def test_arrays_that_tell_their_file_are_never_written_over(codec, counts, fast, tmp_path):
    import zarr

    np.save(tmp_path / "a.npy", counts((3, 20, 20)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    stored = zarr.create_array(tmp_path / "a.zarr", data=counts((20, 20)))
    assert files_behind(np.asarray(mapped)[1:]) == [tmp_path / "a.npy"]
    assert files_behind(stored, "https://example.org/a.zarr") == [tmp_path / "a.zarr"]
    assert files_behind(mapped + 1) == files_behind(counts((9, 9))) == []
    with pytest.raises(ValueError, match="place of its own"):
        next(run(array_job(stored, "YX", fast.replace(overwrite=True), tmp_path / "a.zarr"), codec=codec))
    refuse_overwriting(tmp_path / "b.ome.zarr", [*files_behind(mapped), *files_behind(stored)])


def test_mapped_files_and_zarrs_are_known_again_without_reading_them(
    codec, tmp_path, counts, fast, monkeypatch
):
    import zarr

    from napari_rdpdenoise.io.arrays import ArraySource

    np.save(tmp_path / "a.npy", counts((3, 40, 40)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    stored = zarr.create_array(tmp_path / "a.zarr", data=counts((3, 40, 40)))
    read = []

    class Watched(ArraySource):
        def read(self, *place):
            read.append(place)
            return super().read(*place)

    monkeypatch.setattr("napari_rdpdenoise.io.arrays.ArraySource", Watched)
    for data, target in ((mapped + 1, None), (mapped, "b.ome.zarr"), (stored, "c.ome.zarr")):
        stream = run(array_job(data, "TYX", fast, target and tmp_path / target), codec=codec)
        assert isinstance(next(stream), Opened)
        stream.close()
        assert read == []
