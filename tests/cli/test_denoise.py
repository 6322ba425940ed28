from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
import yaml

from napari_rdpdenoise.files import locked
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.settings import RunSettings


def pixels(path) -> np.ndarray:
    source = open_image(path)
    height, width = source.shape[-2:]
    planes = [source.read(i, slice(0, height), slice(0, width)) for i in np.ndindex(*source.shape[:-2])]
    source.close()
    return np.array(planes).reshape(source.shape)


@pytest.mark.parametrize("name", ["out.ome.zarr", "out.ome.tif"])
def test_one_file(denoise, stack, tmp_path, name):
    answer = denoise(stack, tmp_path / name)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.strip() == str(tmp_path / name)
    result = open_image(tmp_path / name)
    assert (result.shape, result.dtype, result.metadata.axes) == ((3, 70, 90), np.uint16, "TYX")
    assert result.metadata.scale["X"] == pytest.approx(0.2)
    assert result.metadata.scale["T"] == pytest.approx(2.5)
    result.close()


def test_what_is_told(denoise, stack, tmp_path):
    told = denoise(stack, tmp_path / "out.ome.zarr").stderr
    assert "model tiny on cpu" in told
    assert "measuring the noise" in told
    for words in ("rate 0.50", "noise gain", "bpp", "MP/s", "3 tiles", "0 from the cache"):
        assert words in told, told
    assert "Traceback" not in told
    assert "Warning" not in told


def test_auto_rate_is_told_with_both_residuals(run, stack, tmp_path, tiny_model):
    answer = run("denoise", stack, tmp_path / "out.ome.zarr", "--model", tiny_model, "--device", "cpu")
    assert answer.exit_code == 0, answer.stderr
    assert "found" in answer.stderr
    assert "expected (noise variances)" in answer.stderr
    report = json.loads((tmp_path / "out.ome.zarr.job.json").read_text())["report"]
    assert 0 <= report["channels"][0]["rate"] <= 1
    # random weights do not denoise, and the user hears of it
    assert any("estimated noise" in message for message in report["messages"])
    assert all(message in answer.stderr for message in report["messages"])


def test_light_outside_the_models_training_is_told(run, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "model")
    card = yaml.safe_load((model / "card.yaml").read_text())
    card["trained_range"] = {"photons": [6, 5000], "read_electrons": [0.05, 6]}
    (model / "card.yaml").write_text(yaml.safe_dump(card))
    flat = np.random.default_rng(0).poisson(1, (96, 96)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "dim.tif", flat)
    for folder, expected in ((model, 1), (tiny_model, 0)):
        out = tmp_path / f"{expected}.ome.zarr"
        answer = run(
            "denoise", tmp_path / "dim.tif", out, "--model", folder, "--device", "cpu", "--rate", "0.5"
        )
        assert answer.exit_code == 0, answer.stderr
        assert answer.stderr.count("this model was trained on 6 to 5000") == expected


def test_job_file_holds_the_settings(denoise, stack, tmp_path, tiny_model):
    denoise(stack, tmp_path / "out.ome.tif", "--seed", 3, "--time", "1:3", "--tile", 128)
    job = json.loads((tmp_path / "out.ome.tif.job.json").read_text())
    settings = RunSettings.model_validate_json(json.dumps(job["settings"]))
    assert settings == RunSettings(
        model=str(tiny_model), device="cpu", rate=0.5, seed=3, time=(1, 3), tile=128
    )
    assert job["input"] == str(stack)
    assert len(job["model"]["sha256"]) == 64
    assert job["report"]["tiles"] == 2
    assert pixels(tmp_path / "out.ome.tif").shape == (2, 70, 90)


def test_second_run_takes_all_tiles_from_the_cache(denoise, tmp_path, write_stack):
    stack = write_stack(tmp_path / "cells.tif", seed=11)
    first = denoise(stack, tmp_path / "a.ome.zarr")
    again = denoise(stack, tmp_path / "b.ome.zarr")
    without = denoise(stack, tmp_path / "c.ome.zarr", "--no-cache")
    assert "0 from the cache" in first.stderr
    assert "3 from the cache, 0 encoder calls" in again.stderr
    assert "0 from the cache" in without.stderr
    np.testing.assert_array_equal(pixels(tmp_path / "a.ome.zarr"), pixels(tmp_path / "b.ome.zarr"))
    np.testing.assert_array_equal(pixels(tmp_path / "a.ome.zarr"), pixels(tmp_path / "c.ome.zarr"))


def test_channels_in_the_order_given(denoise, tmp_path):
    rng = np.random.default_rng(0)
    levels = np.array([100, 400, 900])[:, None, None]
    noisy = rng.poisson(np.broadcast_to(levels, (3, 64, 64))).astype(np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", noisy, imagej=True, metadata={"axes": "CYX"})
    answer = denoise(tmp_path / "c.tif", tmp_path / "o.ome.zarr", "--channel", 2, "--channel", 0)
    assert answer.exit_code == 0, answer.stderr
    means = pixels(tmp_path / "o.ome.zarr").mean(axis=(1, 2))
    np.testing.assert_allclose(means, [900, 100], rtol=0.02)


def test_axes_and_dtype(denoise, tmp_path):
    noisy = np.random.default_rng(0).poisson(50, (64, 72, 2)).astype(np.uint8)
    np.save(tmp_path / "yxc.npy", noisy)
    answer = denoise(tmp_path / "yxc.npy", tmp_path / "o.ome.zarr", "--axes", "yxc", "--dtype", "float32")
    assert answer.exit_code == 0, answer.stderr
    result = open_image(tmp_path / "o.ome.zarr")
    assert (result.shape, result.metadata.axes, result.dtype) == ((2, 64, 72), "CYX", np.float32)
    result.close()


def test_clipped_values_are_counted(denoise, tmp_path, monkeypatch):
    from napari_rdpdenoise.codec import Decoded

    # a decode that overshoots in one column
    monkeypatch.setattr(
        Decoded, "blend", lambda self, _: np.where(np.arange(72) == 5, 300.5, self["fidelity"])
    )
    noisy = np.random.default_rng(0).poisson(50, (64, 72)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "n.tif", noisy)
    answer = denoise(tmp_path / "n.tif", tmp_path / "o.ome.tif")
    assert "64 values did not fit uint8 and were clipped" in answer.stderr
    assert json.loads((tmp_path / "o.ome.tif.job.json").read_text())["report"]["clipped"] == 64
    assert (pixels(tmp_path / "o.ome.tif")[:, 5] == 255).all()
    assert "clipped" not in denoise(tmp_path / "n.tif", tmp_path / "f.ome.tif", "--dtype", "float32").stderr


def test_a_finished_result_is_kept_unless_overwrite(denoise, stack, tmp_path):
    out = tmp_path / "out.ome.tif"
    out.write_text("precious")
    refused = denoise(stack, out)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert out.read_text() == "precious"
    assert denoise(stack, out, "--overwrite").exit_code == 0
    assert pixels(out).shape == (3, 70, 90)


def test_an_output_that_another_run_writes_to_is_wrong_use(denoise, stack, tmp_path):
    out = tmp_path / "out.ome.tif"
    with locked(out):
        refused = denoise(stack, out)
    assert refused.exit_code == 2
    assert "nobody else writes to" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not out.exists()
    assert denoise(stack, out).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.tif", "o.ome.tif"], "found nothing at none.tif"),
        (["text.tif", "o.ome.tif"], "expected a TIFF"),
        (["cells.tif", "cells.tif"], "the input cells.tif"),
        (["cells.tif", "o.png"], ".ome.zarr or .ome.tif"),
        (["cells.tif", "o.ome.tif", "--tile", "33"], "--tile"),
        (["cells.tif", "o.ome.tif", "--time", "0:9"], "time"),
        (["cells.tif", "o.ome.tif", "--channel", "4"], "channel"),
        (["cells.tif", "o.ome.tif", "--axes", "TX"], "axes"),
        (["cells.tif", "o.ome.tif", "--realism", "0.5"], "no realism decoder"),
        (["mask.npy", "o.ome.tif"], "bool"),
        (["cells.tif"], "OUT"),
        (["cells.tif", "o.ome.tif", "--color", "red"], "--color"),
    ],
)
def test_wrong_use(denoise, stack, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.tif").write_text("no image")
    np.save(tmp_path / "mask.npy", np.ones((8, 8), bool))
    answer = denoise(*arguments)
    assert answer.exit_code == 2, answer.stderr
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "o.ome.tif").exists()


def test_unknown_model(run, stack, tmp_path):
    answer = run("denoise", stack, tmp_path / "o.ome.tif", "--model", "nothing")
    assert answer.exit_code == 2
    assert "no model 'nothing'" in answer.stderr


def test_debug_shows_the_traceback(denoise, tmp_path, monkeypatch):
    monkeypatch.setenv("RDPDENOISE_DEBUG", "1")
    answer = denoise("none.tif", tmp_path / "o.ome.tif")
    assert answer.exit_code == 2
    assert "Traceback" in answer.stderr


def test_a_failure_in_the_middle_is_1_and_leaves_no_result(denoise, stack, tmp_path, monkeypatch):
    from napari_rdpdenoise.codec import Codec

    def fail(*_, **__):
        raise ValueError("the sky fell")

    monkeypatch.setattr(Codec, "decode", fail)
    answer = denoise(stack, tmp_path / "o.ome.tif")
    assert answer.exit_code == 1
    assert "error: the sky fell" in answer.stderr
    assert not (tmp_path / "o.ome.tif").exists()


def test_interrupted_is_130(denoise, stack, tmp_path, monkeypatch):
    from napari_rdpdenoise.codec import Codec

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Codec, "decode", interrupt)
    answer = denoise(stack, tmp_path / "o.ome.tif")
    assert answer.exit_code == 130
    assert "the same command goes on" in answer.stderr


class TestSeveral:
    def test_one_failure_does_not_stop_the_others(self, denoise, tmp_path, write_stack):
        for name, seed in (("a", 0), ("c", 1)):
            write_stack(tmp_path / f"{name}.tif", seed=seed)
        (tmp_path / "b.tif").write_text("no image")
        answer = denoise(tmp_path / "?.tif", tmp_path / "out")
        assert answer.exit_code == 1
        assert "1 of 3 failed" in answer.stderr
        assert "expected a TIFF" in answer.stderr
        made = sorted(p.name for p in (tmp_path / "out").iterdir() if p.name.endswith(".ome.tif"))
        assert made == ["a.ome.tif", "c.ome.tif"]
        assert answer.stdout.split() == [str(tmp_path / "out" / name) for name in made]

    def test_given_again_it_keeps_what_is_done_with_the_same_settings(self, denoise, tmp_path, write_stack):
        stack = write_stack(tmp_path / "a.tif")
        write_stack(tmp_path / "b.tif", seed=1)
        arguments = (tmp_path / "?.tif", tmp_path / "out")
        assert denoise(*arguments).exit_code == 0
        result = tmp_path / "out" / "a.ome.tif"
        before = result.stat().st_mtime_ns
        again = denoise(*arguments)
        assert again.exit_code == 0
        assert again.stderr.count("done before with the same settings, kept") == 2
        assert result.stat().st_mtime_ns == before
        other = denoise(*arguments, "--seed", 1)
        assert other.exit_code == 1
        assert "--overwrite" in other.stderr
        write_stack(stack, seed=2)
        changed = denoise(*arguments)
        assert changed.exit_code == 1
        assert "1 of 2 failed" in changed.stderr
        assert denoise(*arguments, "--overwrite").exit_code == 0

    def test_wrong_settings_are_wrong_use_before_any_work(self, denoise, tmp_path, write_stack):
        write_stack(tmp_path / "a.tif")
        answer = denoise(tmp_path / "*.tif", tmp_path / "out", "--realism", 1)
        assert answer.exit_code == 2
        assert not (tmp_path / "out").exists()

    def test_format(self, denoise, tmp_path, write_stack):
        stack = write_stack(tmp_path / "a.tif", (40, 50))
        assert denoise(stack, tmp_path / "out", "--format", "ome-zarr").exit_code == 0
        assert pixels(tmp_path / "out" / "a.ome.zarr").shape == (40, 50)
