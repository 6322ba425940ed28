from __future__ import annotations

import numpy as np
import pytest
import tifffile
from simulated_cells import camera, cells

from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.files import models_folder
from napari_rdpdenoise.io import open_image

QUICK = ("--steps", 6, "--batch", 1, "--crop", 64, "--validate-every", 3, "--rate", "0.8", "--device", "cpu")


@pytest.fixture
def images(tmp_path):
    """Folders noisy, clean (its truth) and other (clean, of other places)."""
    for k in range(3):
        for name, light in (("noisy", 0.01), ("clean", 1.0)) if k < 2 else (("other", 1.0),):
            (tmp_path / name).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / name / f"{k}.tif", camera(cells(k), light, k))
    return tmp_path


@pytest.mark.parametrize("kind", ["unpaired", "pairs", "zeroshot"])
def test_runs_and_goes_on(run, images, tiny_model, kind):
    more = {"unpaired": [images / "other"], "pairs": [images / "clean"], "zeroshot": []}[kind]
    rate = ("--learning-rate", "0.005")
    out = models_folder() / f"cells-{kind}"
    call = ("finetune", kind, images / "noisy", *more, out, "--model", tiny_model, *QUICK, *rate)
    answer = run(*call)
    assert answer.exit_code == 0, answer.stderr
    assert "held-out" in answer.stderr or "pairs psnr" in answer.stderr
    chosen = answer.stdout.strip()
    if chosen == str(out):
        assert load_model(chosen, "cpu").card.training["kind"] == kind
        assert find(out.name).key == out.name  # one of the user's own from now on
        assert f"{out.name} (yours)" in run("models").stdout
    else:
        assert chosen == str(tiny_model)
        assert "the old one is kept" in answer.stderr
    again = run(*call)
    assert again.exit_code == 0, again.stderr
    assert again.stdout == answer.stdout


def test_patches(run, images):
    small = ("--kind", "mlp", "--width", 8, "--latents", 2, "--steps", 4, "--batch", 8, "--device", "cpu")
    answer = run("finetune", "patches", images / "noisy" / "0.tif", images / "out", *small)
    assert answer.exit_code == 0, answer.stderr
    assert tifffile.imread(images / "out" / "denoised.tif").shape == (176, 96)


def test_patches_keep_the_pixel_size(run, tmp_path):
    noisy = np.random.default_rng(0).poisson(30, (72, 80)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", noisy, imagej=True, resolution=(5.0, 4.0), metadata={"axes": "YX", "unit": "um"}
    )
    small = ("--kind", "mlp", "--width", 8, "--latents", 2, "--steps", 1, "--batch", 8, "--device", "cpu")
    answer = run("finetune", "patches", tmp_path / "a.tif", tmp_path / "out", *small)
    assert answer.exit_code == 0, answer.stderr
    source = open_image(tmp_path / "out" / "denoised.tif")
    assert source.metadata.scale == pytest.approx({"X": 0.2, "Y": 0.25})
    assert source.metadata.units["X"] == "micrometer"
    source.close()
    assert not list((tmp_path / "out").glob("denoised.tif.*"))


@pytest.mark.parametrize("kind", ["unpaired", "pairs", "zeroshot", "patches"])
def test_a_file_in_the_place_of_the_folder_is_wrong_use(run, tmp_path, kind):
    out = tmp_path / "out"
    out.write_text("mine")
    more = [tmp_path / "b.tif"] if kind in ("unpaired", "pairs") else []
    answer = run("finetune", kind, tmp_path / "a.tif", *more, out)
    assert answer.exit_code == 2
    assert "OUT: expected a folder" in answer.stderr
    assert out.read_text() == "mine"


def test_useless_references_are_wrong_use(run, images, tiny_model):
    call = ("unpaired", images / "noisy", images / "noisy", images / "out", "--model", tiny_model, *QUICK)
    answer = run("finetune", *call)
    assert answer.exit_code == 2
    assert "one of the noisy images" in answer.stderr
    assert not (images / "out").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [(("--steps", 0), "steps"), (("--strategy", "XN"), "strategy"), (("--crop", 50), "crop")],
)
def test_wrong_options(run, images, option, words):
    answer = run("finetune", "pairs", images / "noisy", images / "clean", images / "out", *option)
    assert answer.exit_code == 2
    assert words in answer.stderr


def test_interrupted_says_so_and_keeps_its_state(run, images, tiny_model, monkeypatch):
    from napari_rdpdenoise.train.stages.adapt import AdaptLoop

    real = AdaptLoop.train_step

    def step(self, batch):
        if self.step == 4:
            raise KeyboardInterrupt
        return real(self, batch)

    call = ("finetune", "zeroshot", images / "noisy", images / "out", "--model", tiny_model, *QUICK)
    monkeypatch.setattr(AdaptLoop, "train_step", step)
    assert run(*call).exit_code == 130
    assert (images / "out" / "training" / "1-adapt" / "checkpoint.pt").is_file()
    monkeypatch.setattr(AdaptLoop, "train_step", real)
    assert run(*call).exit_code == 0


def test_a_shipped_models_folder_is_refused_before_anything_is_read(run, tmp_path):
    from napari_rdpdenoise.codec.library import MODELS_FOLDER

    answer = run("finetune", "zeroshot", tmp_path / "none", MODELS_FOLDER / "fluo-light" / "mine", *QUICK)
    assert answer.exit_code == 2
    assert "shipped model's" in answer.stderr
    (tmp_path / "file").write_text("")
    answer = run("finetune", "zeroshot", tmp_path / "none", tmp_path / "file" / "mine", *QUICK)
    assert answer.exit_code == 2
    assert "found a file" in answer.stderr
