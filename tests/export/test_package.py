"""The BioImage.IO package, as BioImage.IO's own tool sees it."""

from __future__ import annotations

import warnings
import zipfile

import numpy as np
import pytest
import yaml

from napari_rdpdenoise import denoise, export_bioimageio
from napari_rdpdenoise.samples import simulate_timelapse
from tests.support.exposures import corrected

pytestmark = pytest.mark.filterwarnings("ignore")  # of what the tool imports
CAMERA = {"camera": (4.5, 100.0, 7.5), "rate": 0.5}


@pytest.fixture(scope="module", autouse=True)
def _tool():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports warns of what it imports
        pytest.importorskip("bioimageio.core", reason="the extra bioimageio is not installed")


@pytest.fixture(scope="module")
def sample():
    return simulate_timelapse((1, 384, 352)).noisy


@pytest.fixture(scope="module")
def package(tiny_realism_model, sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "model.zip"
    return export_bioimageio(tiny_realism_model, out, sample=sample, rate=0.4, realism=1.0, authors=["A. B."])


def test_the_tool_passes_it_and_predicts_what_denoise_does(package, tiny_realism_model, sample):
    from bioimageio.core import Tensor, create_prediction_pipeline, test_model
    from bioimageio.core.digest_spec import create_sample_for_model
    from bioimageio.spec import load_model_description

    assert test_model(package, devices=["cpu"]).status == "passed"
    model = load_model_description(package)
    assert model.weights.torchscript is not None
    assert [author.name for author in model.authors] == ["A. B."]
    raw = sample[0].astype(np.float32)
    tensor = Tensor.from_numpy(raw[None, None], dims=("batch", "channel", "y", "x"))
    with create_prediction_pipeline(model, devices=["cpu"]) as pipeline:
        given = create_sample_for_model(model, inputs={"raw": tensor})
        whole = pipeline.predict_sample_without_blocking(
            given, skip_input_padding=True, skip_output_cropping=True
        )
    found = np.asarray(whole.members["denoised"].data)[0, 0]
    ours = denoise(raw, model=tiny_realism_model, rate=0.4, realism=1.0, device="cpu", precision="float32")
    noise = float(np.std(raw - ours))
    assert np.abs(found - ours).max() < 1e-3 * noise


def test_a_fault_is_found_and_nothing_is_left(tiny_model, tmp_path, monkeypatch):
    from napari_rdpdenoise.export import package as module

    write = module._write_parts

    def spoiled(folder, story):
        write(folder, story)
        np.save(folder / "denoised.npy", np.load(folder / "denoised.npy") + 30)

    monkeypatch.setattr(module, "_write_parts", spoiled)
    with pytest.raises(RuntimeError, match="Reproduce test outputs"):
        export_bioimageio(tiny_model, tmp_path / "m.zip", **CAMERA)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_only_if_asked(tiny_model, tmp_path):
    out = tmp_path / "m.zip"
    out.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        export_bioimageio(tiny_model, out, **CAMERA)
    assert out.read_bytes() == b"mine"
    export_bioimageio(tiny_model, out, overwrite=True, **CAMERA)
    assert zipfile.is_zipfile(out)
    assert list(tmp_path.iterdir()) == [out]


def test_it_says_where_it_comes_from_and_holds_nothing_of_the_sample(package, tiny_realism_model, sample):
    with zipfile.ZipFile(package) as archive:
        rdf = yaml.safe_load(archive.read("rdf.yaml").decode().removeprefix("%YAML 1.2\n---\n"))
        readme = archive.read("README.md").decode()
        with archive.open("raw.npy") as file:
            raw = np.load(file)
    card = yaml.safe_load((tiny_realism_model / "card.yaml").read_text())
    ours = rdf["config"]["napari_rdpdenoise"]
    assert ours["structure"] in (True, False)
    assert ("goes back from the input" in readme) == ours["structure"]
    assert (ours["model"], ours["sha256"], ours["rate"]) == (card["name"], card["sha256"], 0.4)
    assert rdf["license"] == "BSD-3-Clause"
    assert "timestamp" in rdf
    assert all(entry["doi"].startswith("10.") for entry in rdf["cite"])
    assert f"gain {ours['camera']['gain']:.6g} counts" in readme
    assert not np.isin(raw, sample).all()


def test_it_says_that_one_noise_model_does_not_fit_a_series_whose_noise_changes(tiny_model, tmp_path):
    out = tmp_path / "model.zip"
    export_bioimageio(tiny_model, out, sample=corrected(), axes="TYX", rate=0.5, structure="none")
    with zipfile.ZipFile(out) as archive:
        readme = archive.read("README.md").decode()
    assert "one noise model for all planes fits not all of them" in readme
    assert "by its own noise" not in readme


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "camera: expected a sample"),
        ({"camera": (4.5, 100.0, 7.5)}, "rate: 'auto'"),
        ({"camera": (4.5, 100.0, 7.5), "rate": "compact"}, "rate: 'compact' is chosen on a sample"),
        ({"camera": (4.5, 100.0, 0.0), "rate": 0.5}, "read noise above 0"),
        ({"camera": (4.5, float("nan"), 1.0), "rate": 0.5}, "camera"),
        ({**CAMERA, "rate": 1.5}, "rate"),
        ({**CAMERA, "realism": -0.1}, "realism"),
        ({**CAMERA, "realism": 0.5}, "no realism decoder"),
        ({**CAMERA, "name": "a/b/c/d"}, "name"),
        ({**CAMERA, "grain": 3}, "grain"),
        ({"sample": np.zeros((2, 64, 64), np.float32), "axes": "CYX", "channel": 2}, "channel: expected"),
    ],
)
def test_what_cannot_be_is_refused(tiny_model, tmp_path, given, words):
    with pytest.raises(ValueError, match=words):
        export_bioimageio(tiny_model, tmp_path / "m.zip", **given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "error"),
    [("m.tar", ValueError), ("none/m.zip", FileNotFoundError), ("dir.zip", IsADirectoryError)],
)
def test_a_target_that_cannot_be_is_refused(tiny_model, tmp_path, name, error):
    (tmp_path / "dir.zip").mkdir()
    with pytest.raises(error, match="out: expected"):
        export_bioimageio(tiny_model, tmp_path / name, **CAMERA)


def test_the_torchscript_needs_nothing_of_ours(package):
    with zipfile.ZipFile(package) as archive, archive.open("weights.pt") as file:
        text = b"".join(
            zipfile.ZipFile(file).read(name)
            for name in zipfile.ZipFile(file).namelist()
            if name.endswith(".py")
        )
    assert b"class" in text
    assert b"compressai" not in text
