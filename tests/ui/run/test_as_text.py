"""Copied Python and copied commands do what the dock does."""

from __future__ import annotations

import shlex
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from napari_rdpdenoise import denoise
from napari_rdpdenoise.cli import app
from napari_rdpdenoise.cli.options import make_settings
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.run.as_text import Request, as_command, as_python

# What a store has no use for is left out: it is chosen when the store is read.
STORED = RunSettings(rate=0.4, realism=0.5, dtype="float32", device="cpu", tile=128, halo=64)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_store_is_made_by_the_texts(tmp_path, noisy_file):
    from napari_rdpdenoise import create_store, open_store

    target = tmp_path / "r.ome.zarr"
    request = Request(STORED, str(noisy_file), str(target), "cells", "0.5")
    text = as_python(request)
    assert "create_store(" in text
    assert "residual='0.5'" in text
    exec(text, {})
    expected = np.asarray(open_store(target)[:])
    command = as_command(request)
    assert "store create" in command
    told = CliRunner().invoke(app, [*shlex.split(command)[1:], "--overwrite"])
    assert told.exit_code == 0, told.output
    np.testing.assert_array_equal(np.asarray(open_store(target)[:]), expected)
    again = tmp_path / "again.ome.zarr"
    create_store(str(noisy_file), again, residual="0.5", rate=0.4, device="cpu", tile=128, halo=64)
    np.testing.assert_array_equal(np.asarray(open_store(again)[:]), expected)


@pytest.fixture
def noisy_file(tmp_path):
    pixels = 100 + 2 * np.random.default_rng(0).poisson(40, (70, 90))
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, pixels.astype(np.uint16))
    return path


AWKWARD = [
    "two words.tif",
    "it's.tif",
    'say "hi".tif',
    "back\\slash.tif",
    "$HOME `id` & |.tif",
    "-rate.tif",
    "ü 细胞.tif",
]

unit = st.floats(0, 1, allow_nan=False)
optional = st.none()
run_settings = st.builds(
    RunSettings,
    model=st.sampled_from(["default", "fluo-light", "/my models/it's", "-odd"]),
    rate=st.just("auto") | unit,
    realism=unit,
    axes=optional | st.sampled_from(["YX", "TZCYX"]),
    dtype=st.sampled_from(["input", "float32"]),
    tile=st.integers(1, 40).map(lambda n: 64 * n),
    halo=st.integers(0, 4).map(lambda n: 64 * n),
    batch=optional | st.integers(1, 9),
    device=st.sampled_from(["auto", "cpu"]),
    channels=optional | st.lists(st.integers(0, 9), min_size=1, unique=True).map(tuple),
    time=optional | st.tuples(st.integers(0, 5), st.integers(6, 9)),
    seed=st.integers(0, 9),
    structure=st.sampled_from(["auto", "none"]),
    neighbours=st.sampled_from(["auto", "none", "T", "Z"]),
    camera=optional | st.tuples(st.floats(0, 9), st.floats(-99, 99), st.floats(0.1, 9)),
    overwrite=st.booleans(),
    output_format=st.sampled_from([None, "ome-zarr", "ome-tiff"]),
)


def parsed(words):
    """What the command line's own parser makes of a command: inputs, result, settings."""
    command = get_command(app).commands["denoise"]
    values = command.make_context("denoise", words).params
    chosen = {name: values[name] for name in RunSettings.model_fields}
    return values["inputs"], values["out"], make_settings(chosen)


@given(run_settings, st.sampled_from(AWKWARD))
@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_command_is_parsed_as_the_settings_it_was_made_of(settings, name):
    program, verb, *words = shlex.split(as_command(Request(settings, name, "out put/" + name)))
    assert (program, verb) == ("napari-rdpdenoise", "denoise")
    inputs, out, found = parsed(words)
    assert [text.removeprefix("./") for text in inputs] == [name]
    assert (out, found) == ("out put/" + name, settings)


@given(run_settings, st.sampled_from(AWKWARD))
@effort(max_examples=60, deadline=None)
def test_python_text_holds_the_settings_and_the_path(settings, name):
    text = as_python(Request(settings, path=name, target="o.ome.tif", layer="cells"))
    call = text.splitlines()[-1]
    image, target, found = eval(call, {"denoise_file": lambda *files, **how: (*files, RunSettings(**how))})
    assert (image, target) == (name, "o.ome.tif")
    assert found == settings.replace(output_format=None)
    compile(as_python(Request(settings, path=name)), "recipe", "exec")
    compile(as_python(Request(settings, layer=name)), "recipe", "exec")


def test_defaults_are_not_written():
    assert shlex.split(as_command(Request(RunSettings(), "a.tif", "b.ome.tif"))) == [
        "napari-rdpdenoise", "denoise", "a.tif", "b.ome.tif",
    ]  # fmt: skip
    assert "denoise(open_image('a.tif'))" in as_python(Request(RunSettings(), path="a.tif"))


@pytest.mark.parametrize("name", AWKWARD)
def test_windows_programs_split_it_as_it_was_meant(monkeypatch, name):
    monkeypatch.setattr(sys, "platform", "win32")
    command = as_command(Request(RunSettings(), f"C:\\data\\{name}", "C:\\out\\r.ome.tif"))
    words = ["napari-rdpdenoise", "denoise", f"C:\\data\\{name}", "C:\\out\\r.ome.tif"]
    assert command == subprocess.list2cmdline(words)


@pytest.mark.parametrize(
    ("path", "form", "expected"),
    [
        ("/d/a.tif", None, "/d/a-denoised.ome.tif"),
        ("/d/a.ome.zarr/", None, "/d/a-denoised.ome.zarr"),
        ("/d/a.tif", "ome-zarr", "/d/a-denoised.ome.zarr"),
        ("a.npy", None, "a-denoised.ome.zarr"),
        ("https://host/x/a.zarr", None, "a-denoised.ome.zarr"),
    ],
)
def test_a_result_in_memory_goes_beside_its_input(path, form, expected):
    words = shlex.split(as_command(Request(RunSettings(output_format=form), path)))
    assert words[3] == expected


@pytest.mark.parametrize("name", ["cells", "two\nlines; rm -rf ~", "it's"])
def test_of_a_layer_in_memory_the_command_says_that_it_must_be_saved(name):
    lines = as_command(Request(RunSettings(), None, None, name)).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("#")
    assert "save it first" in lines[0]
    assert repr(name) in lines[0]
    assert shlex.split(lines[1])[0] == "napari-rdpdenoise"


def test_nothing_to_denoise_is_refused():
    with pytest.raises(ValueError, match="choose a layer"):
        as_python(Request(RunSettings()))


@pytest.fixture
def noisy(tmp_path):
    """A noisy TYX stack in a file whose name needs quotes."""
    path = tmp_path / "it's $noisy.tif"
    stack = np.random.default_rng(0).poisson(80, (3, 70, 90)).astype(np.uint16)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TYX"})
    return path, stack


@pytest.fixture
def quick(tiny_model):
    """Settings of a quick run of some planes."""
    return RunSettings(model=str(tiny_model), device="cpu", rate=1 / 3, tile=64, halo=64, time=(1, 3))


def read(path):
    source = open_image(path)
    planes = [source.read(index, slice(0, 70), slice(0, 90)) for index in np.ndindex(*source.shape[:-2])]
    source.close()
    return np.array(planes)


def test_python_and_command_give_the_same_pixels(noisy, quick, tmp_path):
    path, stack = noisy
    expected = denoise(
        stack, model=quick.model, device="cpu", rate=1 / 3, tile=64, halo=64, time=(1, 3), axes="TYX"
    )
    streamed, commanded = tmp_path / "by python.ome.zarr", tmp_path / "by command.ome.tif"

    exec(as_python(Request(quick, path=str(path), target=str(streamed))), {})
    words = shlex.split(as_command(Request(quick, str(path), str(commanded))))
    answer = CliRunner().invoke(app, words[1:])
    assert answer.exit_code == 0, answer.stderr
    memory = {}
    exec(as_python(Request(quick, path=str(path))), memory)

    np.testing.assert_array_equal(read(streamed), expected)
    np.testing.assert_array_equal(read(commanded), expected)
    np.testing.assert_array_equal(memory["result"], expected)


@pytest.mark.parametrize("multiscale", [False, True])
def test_python_of_a_layer_in_memory(noisy, quick, multiscale):
    _, stack = noisy
    quick = quick.replace(axes="TYX", overwrite=True, output_format="ome-zarr")
    data = [stack, stack[:, ::2, ::2]] if multiscale else stack
    layer = SimpleNamespace(name="it's", data=data, multiscale=multiscale, scale=(1, 1, 1), rgb=False)
    added = []
    viewer = SimpleNamespace(
        layers={"it's": layer}, add_image=lambda image, **look: added.append((image, look))
    )
    names = {"viewer": viewer}
    exec(as_python(Request(quick, layer="it's")), names)
    chosen = {"model": quick.model, "device": "cpu", "rate": 1 / 3, "tile": 64, "halo": 64, "time": (1, 3)}
    np.testing.assert_array_equal(names["result"], denoise(stack, axes="TYX", **chosen))
    assert added[0][0] is names["result"]
    assert added[0][1]["name"] == "it's denoised"
