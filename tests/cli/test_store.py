"""`store` on the command line: made, looked at, compared, taken apart."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.store.zarr_codec import register

OPTIONS = ("--device", "cpu", "--rate", "0.5", "--precision", "float32")


@pytest.fixture(autouse=True)
def _known_to_zarr():
    register()


@pytest.fixture
def made(run, write_stack, tmp_path):
    """A stack and a store of it."""

    def make(*options):
        image, path = write_stack(tmp_path / "in.tif"), tmp_path / "a.ome.zarr"
        done = run("store", "create", image, path, *OPTIONS, *options)
        assert done.exit_code == 0, done.output
        assert done.stdout.strip() == str(path)
        return image, path

    return make


def test_a_store_is_made_verified_and_taken_apart(run, made, tmp_path):
    image, path = made()
    done = run("store", "verify", path, image)
    assert done.exit_code == 0, done.output
    assert "holds" in done.stdout.splitlines()[-1]
    assert "noise raised by" in done.stdout
    out = tmp_path / "out.ome.tif"
    assert run("store", "extract", path, out, "--layer", "original").exit_code == 0
    kept, raw = tifffile.imread(out).astype(float), tifffile.imread(image)
    assert kept.shape == raw.shape
    assert 0 < np.abs(kept - raw).max() < 60
    assert run("store", "extract", path, tmp_path / "b.ome.tif", "--realism", "0.5").exit_code == 0


def test_a_store_is_made_in_parts(run, made, tmp_path):
    image, path = made()
    target = tmp_path / "parts" / "a.ome.zarr"
    create = lambda *more: run("store", "create", image, target, *OPTIONS, *more)  # noqa: E731
    answer = create("--part", "1/2", "--finish")
    assert answer.exit_code == 2
    assert "--part, --finish: expected one of them, found 2" in answer.stderr
    for part in ("1/2", "2/2"):
        answer = create("--part", part)
        assert (answer.exit_code, answer.stdout) == (0, ""), answer.stderr
    answer = create("--finish")
    assert (answer.exit_code, answer.stdout) == (0, f"{target}\n"), answer.stderr
    assert "The store is read where the model" in answer.stderr
    for file in (path / "0" / "c").rglob("*"):
        if file.is_file():
            assert (target / file.relative_to(path)).read_bytes() == file.read_bytes()


def test_info_says_how_much_is_kept(run, made):
    _, path = made("--residual", "0.5")
    done = run("store", "info", path)
    assert done.exit_code == 0, done.output
    for words in (
        "original kept in steps of 0.5 times its noise",
        "latents",
        "residual",
        "channel 0: rate 0.50",
    ):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("option", "inside"), [("--embed-model", True), ("--no-embed-model", False), (None, False)]
)
def test_the_model_is_inside_where_it_is_asked_for(run, made, option, inside):
    _, path = made(*([option] if option else []))
    assert (path / "0" / "model").exists() == inside
    assert ("the model is inside: " in run("store", "info", path).stdout) == inside


def test_another_image_fails(run, made, write_stack, tmp_path):
    _, path = made()
    done = run("store", "verify", path, write_stack(tmp_path / "other.tif", seed=5))
    assert done.exit_code == 1
    assert "does not hold" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("info", "nothing.ome.zarr"), "store: expected one at"),
        (("create", "nothing.tif", "a.ome.zarr"), "nothing.tif"),
        (("extract", "nothing.ome.zarr", "b.ome.tif"), "store: expected one at"),
    ],
)
def test_wrong_use_is_told(run, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("store", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_the_original_that_was_not_kept_cannot_be_extracted(run, made, tmp_path):
    _, path = made("--residual", "none")
    done = run("store", "extract", path, tmp_path / "o.ome.tif", "--layer", "original")
    assert done.exit_code != 0
    assert "layer: expected a store with a residual layer" in done.stderr
    assert not (tmp_path / "o.ome.tif").exists()


def test_the_same_command_twice_does_not_replace(run, made):
    image, path = made()
    assert run("store", "create", image, path, *OPTIONS).exit_code == 2
    assert run("store", "create", image, path, *OPTIONS, "--overwrite").exit_code == 0
