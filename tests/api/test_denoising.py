from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_rdpdenoise import LatentCache, denoise, denoise_file, open_image
from napari_rdpdenoise.jobs.record import read_job

# Test images are too small and too random for a good noise estimate, and that is told.
pytestmark = pytest.mark.filterwarnings(
    "ignore:noise estimate:UserWarning",
    "ignore:channel .:UserWarning",
    "ignore:all (channels|colours). noise estimate:UserWarning",
)

FAST = {"rate": 0.5, "tile": 64, "device": "cpu"}


def noisy(shape, dtype=np.uint16, seed=1):
    light = np.random.default_rng(seed).gamma(2.0, 20.0, shape)
    return np.clip(30 + np.random.default_rng(seed + 1).poisson(light), 0, 255).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float16", "float32", "float64"])
def test_numpy_in_numpy_out_of_same_shape_and_dtype(tiny_codec, dtype):
    image = noisy((70, 91), dtype)
    result = denoise(image, model=tiny_codec, **FAST)
    assert type(result) is np.ndarray
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert result.mean() == pytest.approx(image.mean(), rel=0.02)  # untrained: the stored means alone keep it


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((40, 50), None), ((2, 40, 50), None), ((40, 50, 3), "YXS"), ((40, 2, 50), "YCX"), ((50, 40), "XY"),
     ((40, 2, 50, 3), "YTXC"), ((1, 1), None)],
)  # fmt: skip
def test_order_of_axes_is_kept(tiny_codec, shape, axes):
    image = noisy(shape, np.float32)
    given = image.copy()
    result = denoise(image, model=tiny_codec, axes=axes, batch=1, **FAST)
    lazy = denoise(da.from_array(image), model=tiny_codec, axes=axes, **FAST)
    assert result.shape == lazy.shape == shape
    np.testing.assert_allclose(lazy.compute(), result, atol=1e-3 * np.ptp(image))
    np.testing.assert_array_equal(image, given)
    if axes and "C" not in axes and "S" not in axes:
        # one channel: transposing before or after denoising is the same
        plain = denoise(np.ascontiguousarray(image.T), model=tiny_codec, axes=axes[::-1], batch=1, **FAST)
        np.testing.assert_allclose(result, plain.T, atol=1e-3 * np.ptp(image))


def textured(shape=(2, 100, 130)):
    rows, columns = np.indices(shape[1:])
    light = np.where(columns < 60, 300 + 250 * ((rows + columns) % 4 < 2), 300)
    return (100 + 2 * np.random.default_rng(3).poisson(light, shape)).astype(np.float32)


def test_what_was_kept_is_what_the_result_has_of_the_input(tiny_codec):
    image, options = textured(), {"model": tiny_codec, "axes": "TYX", **FAST}
    share = denoise(image, **options, quantity="kept")
    assert (type(share), share.dtype, share.shape) == (np.ndarray, np.float32, image.shape)
    assert 0 <= share.min() < share.max() <= 1
    bare = denoise(image, structure="none", **options)
    back, noise = np.abs(denoise(image, **options) - bare), np.sqrt(2 * (image.mean() - 100))
    assert back[share == 0].max(initial=0) < 0.2 * noise  # light is kept by moving the rest a little
    assert back[share > 0.5].mean() > noise
    lazy = denoise(da.from_array(image, chunks=(1, 64, 64)), **options, quantity="kept")
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy.compute(), share, atol=1e-5)
    turned = denoise(image.transpose(1, 2, 0), **{**options, "axes": "YXT"}, quantity="kept")
    np.testing.assert_allclose(turned, share.transpose(1, 2, 0), atol=1e-5)


def test_nothing_is_kept_where_structure_is_not_asked_for(tiny_codec):
    assert not denoise(textured(), model=tiny_codec, structure="none", **FAST, quantity="kept").any()


def test_colour_is_found_in_the_last_axis(tiny_codec):
    image = noisy((64, 64, 3), np.uint8)
    found = denoise(image, model=tiny_codec, **FAST)
    planes = np.stack([denoise(image[..., s], model=tiny_codec, **FAST) for s in range(3)], -1)
    assert np.abs(found.astype(int) - planes).max() <= 1  # random numbers of rounding are the plane's own


@pytest.mark.parametrize("kind", ["dask", "zarr", "group", "source"])
def test_lazy_inputs_give_lazy_dask_that_equals_the_numpy_result(tiny_codec, tmp_path, kind):
    image = noisy((2, 130, 100), np.uint16)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    stored = group.create_array("0", data=image, chunks=(1, 64, 64))
    given = {
        "dask": da.from_array(image, chunks=50),
        "zarr": stored,
        "group": group,
        "source": open_image(image),
    }
    result = denoise(given[kind], model=tiny_codec, **FAST)
    assert isinstance(result, da.Array)
    expected = denoise(image, model=tiny_codec, batch=1, **FAST).astype(int)
    assert result.dtype == image.dtype
    assert np.abs(result.compute().astype(int) - expected).max() <= 1  # a rounding may go the other way


def test_slicing_a_lazy_result_computes_only_what_is_needed(tiny_codec):
    result = denoise(da.from_array(noisy((4, 128, 128))), model=tiny_codec, **FAST)
    before = tiny_codec.encoder_calls
    result[2, :10, :10].compute()
    assert tiny_codec.encoder_calls == before + 1


def test_channels_times_and_dtype_can_be_chosen(tiny_codec):
    image = noisy((3, 2, 64, 64))
    result = denoise(
        image, model=tiny_codec, axes="TCYX", channels=(1,), time=(1, 3), dtype="float32", **FAST
    )
    assert result.shape == (2, 1, 64, 64)
    assert result.dtype == np.float32


def test_second_run_with_a_cache_encodes_nothing(tiny_codec):
    image, cache = noisy((130, 130)), LatentCache(folder=None)
    first = denoise(image, model=tiny_codec, cache=cache, **FAST)
    calls = tiny_codec.encoder_calls
    np.testing.assert_array_equal(denoise(image, model=tiny_codec, cache=cache, **FAST), first)
    assert tiny_codec.encoder_calls == calls


def test_model_is_found_by_its_folder(tiny_model):
    image = noisy((64, 64))
    assert denoise(image, model=tiny_model, **FAST).shape == image.shape


def test_clipping_is_told(tiny_codec):
    image = np.random.default_rng(5).integers(0, 6, (128, 128), np.uint8)
    image[:, 60:] += 250  # an untrained model cannot follow the edge, and the local means are kept
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        denoise(image, model=tiny_codec, structure="none", **FAST)
    words = "values did not fit uint8 and were clipped; dtype='float32'"
    assert any(words in str(warning.message) for warning in told)


def test_doubtful_noise_is_told_in_both_ways(tiny_codec):
    flat, ramp = np.full((64, 64), 7, np.uint16), np.add.outer(np.arange(64), np.arange(64, dtype=np.uint16))
    for image, words in ((flat, "holds no noise"), (ramp.astype(np.float32), "noise estimate: ")):
        for given in (image, da.from_array(image)):
            with pytest.warns(UserWarning, match=words):
                denoise(given, model=tiny_codec, structure="none", **FAST)


@pytest.mark.parametrize(
    ("image", "options", "error", "words"),
    [
        (
            "a.tif",
            {},
            TypeError,
            "image: expected an array, found the path 'a.tif'; open it with",
        ),
        ([[1, 2]], {}, TypeError, "image: expected .* found builtins.list"),
        (np.ones((8, 8), bool), {}, TypeError, "image: expected dtype .* found bool"),
        (np.ones(8), {}, ValueError, "image: expected at least 2 dimensions"),
        (np.ones((0, 8)), {}, ValueError, "image: expected at least one pixel"),
        (np.ones((8, 8)), {"axes": "TYX"}, ValueError, "axes: expected 2 letters"),
        (np.ones((8, 8)), {"axes": "yx"}, ValueError, "axes must be different upper-case letters"),
        (
            np.ones((8, 8)),
            {"rate": 2},
            ValueError,
            "rate must be a number from 0 to 1, 'auto' or 'compact', got 2",
        ),
        (np.ones((8, 8)), {"realism": -1.0}, ValueError, "realism"),
        (np.ones((8, 8)), {"realism": 0.5}, ValueError, "realism: model .* has no realism decoder"),
        (np.ones((8, 8)), {"tile": 100}, ValueError, "tile"),
        (np.ones((8, 8)), {"model": "no-such"}, FileNotFoundError, "model: no model 'no-such'"),
        (
            np.ones((8, 8)),
            {"overwrite": True},
            TypeError,
            "expected options among decoder, .* found overwrite",
        ),
        (np.ones((8, 8)), {"channels": (1,)}, ValueError, "channels: expected different numbers from 0 to 0"),
    ],
)
def test_refusals_name_the_parameter(tiny_codec, image, options, error, words):
    with pytest.raises(error, match=words):
        denoise(image, **{"model": tiny_codec, **FAST, **options})


def test_dask_of_unknown_shape_is_refused(tiny_codec):
    values = da.from_array(np.arange(64.0), chunks=8)
    with pytest.raises(ValueError, match="image: expected a known shape"):
        denoise(values[values > 5][:, None], model=tiny_codec, **FAST)


class TestFile:
    def test_a_file_into_a_file(self, tiny_model, tmp_path):
        image, path = noisy((2, 70, 91)), tmp_path / "cells.npy"
        np.save(path, image)
        target = tmp_path / "new folder" / "out.ome.tif"
        outcome = denoise_file(path, str(target), model=tiny_model, time=(0, 1), **FAST)
        assert (outcome.path, outcome.record) == (target, tmp_path / "new folder" / "out.ome.tif.job.json")
        assert outcome.report.tiles == 2
        assert read_job(outcome.record).input == str(path)
        written = open_image(target).read((), slice(0, 70), slice(0, 91))
        np.testing.assert_array_equal(written, denoise(image, model=tiny_model, time=(0, 1), **FAST)[0])

    def test_an_array_with_its_axes_and_a_model_in_hand(self, tiny_codec, tmp_path):
        image = noisy((40, 2, 50))
        outcome = denoise_file(image, tmp_path / "o.ome.zarr", model=tiny_codec, axes="YCX", **FAST)
        assert open_image(outcome.path).metadata.axes == "CYX"
        assert outcome.data is None

    def test_a_source_that_came_open_stays_open(self, tiny_codec, tmp_path):
        source = open_image(noisy((40, 50)))
        denoise_file(source, tmp_path / "o.ome.zarr", model=tiny_codec, **FAST)
        assert source.read((), slice(0, 2), slice(0, 2)).shape == (2, 2)

    def test_doubts_and_clipping_are_told(self, tiny_codec, tmp_path):
        image = np.random.default_rng(5).integers(0, 6, (128, 128), np.uint8)
        image[:, 60:] += 250
        with pytest.warns(UserWarning, match="values did not fit uint8|whole counts") as told:
            denoise_file(image, tmp_path / "o.ome.tif", model=tiny_codec, structure="none", **FAST)
        assert {warning.filename for warning in told} == {__file__}

    @pytest.mark.parametrize(
        ("image", "output", "options", "error", "words"),
        [
            ("none.tif", "o.ome.tif", {}, FileNotFoundError, "found nothing at none.tif"),
            ([[1, 2]], "o.ome.tif", {}, TypeError, "image: expected .* found builtins.list"),
            (np.ones((8, 8)), "o.png", {}, ValueError, "ends with .ome.zarr or .ome.tif"),
            (np.ones((8, 8)), "o.ome.tif", {"model": "no-such"}, FileNotFoundError, "no model 'no-such'"),
            (np.ones((8, 8)), "o.ome.tif", {"realism": 0.5}, ValueError, "has no realism decoder"),
            (np.ones((8, 8)), "o.ome.tif", {"rate": 2}, ValueError, "rate must be a number"),
            (
                np.ones((8, 8)),
                "o.ome.tif",
                {"output_format": "ome-zarr"},
                TypeError,
                "denoise_file: expected",
            ),
            (np.ones((8, 8)), "there.ome.tif", {}, FileExistsError, "overwrite"),
        ],
    )
    def test_refusals_name_what_is_wrong(
        self, tiny_codec, tmp_path, monkeypatch, image, output, options, error, words
    ):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "there.ome.tif").write_text("precious")
        with pytest.raises(error, match=words):
            denoise_file(image, output, **{"model": tiny_codec, **FAST, **options})
        assert [path.name for path in tmp_path.iterdir()] == ["there.ome.tif"]
        assert (tmp_path / "there.ome.tif").read_text() == "precious"
