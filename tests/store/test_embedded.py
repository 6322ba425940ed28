"""A store that holds its model is read where that is not installed; what is no such model is refused."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
import zarr

import napari_rdpdenoise as rdp
from napari_rdpdenoise.codec import device
from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.store import chunk, embedded
from napari_rdpdenoise.store.about import store_info

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

OPTIONS = {"rate": 0.5, "device": "cpu", "tile": 128, "precision": "float32"}


@pytest.fixture
def make(tmp_path, stack, tiny_model):
    """A store of a model that is elsewhere afterwards: ``make(embed)``; its path and its pixels."""

    def store(embed=True, name="a.ome.zarr"):
        away = tmp_path / "elsewhere" / "mine"
        shutil.copytree(tiny_model, away)
        path = tmp_path / name
        rdp.create_store(stack((2, 80, 96)), path, model=away, embed_model=embed, axes="TYX", **OPTIONS)
        pixels = np.asarray(rdp.open_store(path)[:])
        shutil.rmtree(away)
        forget()
        return path, pixels

    yield store
    forget()


def forget():
    """As in a new process."""
    chunk._KNOWN.clear()
    embedded._PLACES.clear()
    device._CODECS.clear()


def model_in(path):
    (folder,) = (path / "0" / "model").iterdir()
    return folder


def test_every_way_to_open_it_reads_it(make):
    path, pixels = make()
    openings = (
        lambda: rdp.open_store(path)[:],
        lambda: pickle.loads(pickle.dumps(rdp.open_store(path)))[:],
        lambda: np.stack([open_image(path).read((t,), slice(0, 80), slice(0, 96)) for t in range(2)]),
    )
    for opening in openings:
        forget()
        np.testing.assert_array_equal(np.asarray(opening()), pixels)
    original = np.asarray(rdp.open_store(path, layer="original")[:])
    assert (original != pixels).any()
    # zarr by itself, once the store was opened in this process
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["0"][:], pixels)


def test_zarr_by_itself_says_how_to_read_it(make):
    path, _ = make()
    with pytest.raises(FileNotFoundError, match=r"open the store with open_store or open_image"):
        zarr.open_group(path, mode="r")["0"][0]


def test_without_the_model_inside_it_needs_the_one_that_is_installed(make):
    path, _ = make(embed=False)
    assert not (path / "0" / "model").exists()
    with pytest.raises(FileNotFoundError, match="found none here; put its folder into"):
        rdp.open_store(path)[0]


def test_one_of_the_same_name_and_other_weights_is_not_taken(make, tiny_realism_model, tmp_path, monkeypatch):
    path, pixels = make()
    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "models"))
    shutil.copytree(tiny_realism_model, tmp_path / "models" / "mine")
    assert find("mine").digest != store_info(path).digest
    np.testing.assert_array_equal(np.asarray(rdp.open_store(path)[:]), pixels)


def test_the_files_are_those_of_the_model_and_are_counted(make, tiny_model):
    path, _ = make()
    info = store_info(path)
    folder = model_in(path)
    assert folder.name == info.digest == find(tiny_model).digest
    for name in ("card.yaml", "model.safetensors"):
        assert (folder / name).read_bytes() == (tiny_model / name).read_bytes()
    assert sorted(file.name for file in folder.iterdir()) == ["card.yaml", "model.safetensors"]
    assert info.embedded == sum(file.stat().st_size for file in folder.iterdir())
    assert zarr.open_group(path, mode="r").info_complete()  # no warning of what is no node


def test_large_images_hold_it_unless_it_is_chosen(tiny_model):
    found = find(tiny_model)
    size = (tiny_model / "model.safetensors").stat().st_size
    assert embedded.is_worth(found, 10 * size)
    assert not embedded.is_worth(found, 10 * size - 1)


def test_a_small_image_does_not_and_the_run_says_so(tmp_path, stack, tiny_model):
    from stores import quick, steps

    from napari_rdpdenoise.jobs.job import Job

    told = {}
    for embed in (None, True):
        job = Job(stack((80, 96)), tmp_path / f"{embed}.ome.zarr", quick(model=str(tiny_model)), residual="1")
        object.__setattr__(job, "embed_model", embed)
        messages = [getattr(event, "message", None) or "" for event in steps(job)]
        told[embed] = [line for line in messages if line.startswith("The store")]
    assert "is read where the model tiny" in told[None][0]
    assert "holds its model tiny" in told[True][0]


class TestUntrusted:
    @pytest.fixture
    def opened(self, make):
        path, _ = make()
        return path, model_in(path)

    def refused(self, path, match):
        with pytest.raises(ValueError, match=match):
            rdp.open_store(path)[0]

    def test_changed_weights(self, opened):
        path, folder = opened
        data = bytearray((folder / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (folder / "model.safetensors").write_bytes(data)
        self.refused(path, "is not the file its card describes")

    def test_another_model_in_its_place(self, opened, tiny_realism_model):
        path, folder = opened
        for name in ("card.yaml", "model.safetensors"):
            shutil.copy(tiny_realism_model / name, folder / name)
        self.refused(path, "expected the one of digest .* the store is damaged")

    def test_a_pickle_in_the_place_of_weights(self, opened):
        path, folder = opened
        data = pickle.dumps({"a": 1})
        (folder / "model.safetensors").write_bytes(data)
        card = yaml.safe_load((folder / "card.yaml").read_text())
        import hashlib

        card["sha256"] = hashlib.sha256(data).hexdigest()
        (folder / "card.yaml").write_text(yaml.safe_dump(card))
        self.refused(path, "expected weights in")

    @pytest.mark.parametrize("name", ["card.yaml", "model.safetensors"])
    def test_larger_than_models_are(self, opened, name):
        path, folder = opened
        os.truncate(folder / name, 2**30)  # sparse
        self.refused(path, "expected a file of at most|expected a card of at most")

    @pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
    def test_a_link_to_elsewhere(self, opened, tmp_path):
        path, folder = opened
        (folder / "model.safetensors").rename(tmp_path / "weights")
        (folder / "model.safetensors").symlink_to(tmp_path / "weights")
        self.refused(path, "found a link")

    def test_a_digest_that_is_a_path(self, tmp_path):
        assert embedded._inside(tmp_path, "../../../../etc/passwd") is None
        assert embedded._inside(tmp_path, "") is None


@pytest.mark.slow
def test_another_process_without_the_model_reads_it(make):
    path, pixels = make()
    code = (
        "import sys, numpy as np, napari_rdpdenoise as r; np.save(sys.argv[2], r.open_store(sys.argv[1])[:])"
    )
    target = path.parent / "found.npy"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path), str(target)], check=True)
    np.testing.assert_allclose(np.load(target).astype(float), pixels.astype(float), atol=1)


def test_an_array_that_travels_to_another_process_is_read_there(make):
    path, pixels = make()
    travelling = pickle.dumps(rdp.open_store(path))
    forget()
    np.testing.assert_array_equal(pickle.loads(travelling)[:], pixels)
