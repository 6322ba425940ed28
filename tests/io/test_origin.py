"""Where arrays come from: their files tell one content from another; and files as lazy arrays."""

from __future__ import annotations

import os

import numpy as np
import pytest

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.lazy import lazy_source
from napari_rdpdenoise.io.origin import file_identity


def test_identities_tell_parts_and_versions_of_a_file_apart(tmp_path, image):
    import zarr

    np.save(tmp_path / "a.npy", image((3, 40, 40)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    parts = [mapped, mapped[1:], mapped[2:], mapped[:, ::2], mapped.transpose(0, 2, 1)]
    found = [file_identity(part) for part in parts]
    assert None not in found
    assert len(set(found)) == len(parts)
    assert file_identity(np.load(tmp_path / "a.npy", mmap_mode="r")[1:]) == found[1]
    os.utime(tmp_path / "a.npy", (1, 1))
    assert file_identity(mapped) not in found
    stored = zarr.create_array(tmp_path / "a.zarr", data=image((40, 40)), chunks=(20, 20))
    before = file_identity(stored)
    assert before is not None
    assert before == file_identity(zarr.open_array(tmp_path / "a.zarr", mode="r"))
    for file in (tmp_path / "a.zarr").rglob("*"):
        os.utime(file, (1, 1))
    assert file_identity(stored) != before


def test_what_may_have_changed_in_memory_has_no_identity(tmp_path, image):
    np.save(tmp_path / "a.npy", image((40, 40)))
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    for data in (changed, changed + 1, np.asarray(changed), image((9, 9))):
        assert file_identity(data) is None


def test_lazy_arrays_slice_like_the_file(tmp_path, image):
    data = image((3, 2, 40, 30))
    file = tmp_path / "a.npy"
    np.save(file, data)
    lazy = lazy_source(open_image(file), "a")
    np.testing.assert_array_equal(np.asarray(lazy[1:, 1, 5:9]), data[1:, 1, 5:9])


@pytest.mark.parametrize(
    "key", [np.s_[:, ::2, ::3], np.s_[1, 5:30:4, ::-1], np.s_[::-1, ::-3, 7], np.s_[:, 9:9, ::2]]
)
def test_lazy_arrays_take_steps_as_numpy_does(image, key):
    data = image((2, 40, 30))
    lazy = lazy_source(open_image(data, "TYX"), "steps")
    np.testing.assert_array_equal(lazy[key].compute(), data[key])
