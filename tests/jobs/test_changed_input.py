"""An input that somebody writes to while it is read never gives a result."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from napari_rdpdenoise.io import file_states, open_image
from napari_rdpdenoise.io.file_states import files_state
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.parts import Part, run_part
from napari_rdpdenoise.jobs.runner import run


def save(folder, kind, pixels):
    """An image of some kind in a folder, and how a job names it."""
    if kind == "npy":
        np.save(folder / "a.npy", pixels)
        return folder / "a.npy", str(folder / "a.npy")
    if kind == "zarr":
        array = zarr.create_array(folder / "a.zarr", shape=pixels.shape, chunks=(1, 70, 90), dtype="u2")
        array[...] = pixels
        return folder / "a.zarr", str(folder / "a.zarr")
    if kind == "frames":
        (folder / "a").mkdir()
        for number, plane in enumerate(pixels):
            tifffile.imwrite(folder / "a" / f"t{number}.tif", plane)
        return folder / "a", f"{folder}/a/*.tif"
    tifffile.imwrite(folder / "a.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    return folder / "a.tif", str(folder / "a.tif")


def change(path, how):
    """Write to an image, to a copy in its place, or shorten or remove a part of it."""
    file = path if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())[2]
    if how == "written":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        with file.open("r+b") as opened:
            opened.write(content)
        os.utime(file, ns=(0, 0))
    elif how == "replaced":
        shutil.copy(file, file.with_name("copy"))
        file.with_name("copy").replace(file)
    elif how == "shortened":
        os.truncate(file, file.stat().st_size - 2)
    else:
        file.unlink()


@pytest.mark.parametrize("kind", ["tif", "npy", "zarr", "frames"])
@pytest.mark.parametrize("how", ["written", "replaced", "shortened", "removed"])
@pytest.mark.slow
def test_nothing_appears_and_the_same_again_is_right(tmp_path, tiny_codec, counts, fast, drain, kind, how):
    pixels = counts((6, 70, 90))
    path, name = save(tmp_path, kind, pixels)
    settings = fast.replace(stack="T" if kind == "frames" else None)
    job = Job(name, tmp_path / "out" / "a.ome.zarr", settings)

    def changed_meanwhile():
        for event in run(job, codec=tiny_codec):
            if isinstance(event, Opened):
                change(path, how)

    with pytest.raises((ValueError, OSError), match=r"image: expected|image: plane .* cannot be read"):
        changed_meanwhile()
    assert not job.target.exists()
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    save(tmp_path, kind, pixels)
    drain(run(job, codec=tiny_codec))
    assert open_image(job.target).shape == pixels.shape
    assert not job.target.with_name("a.ome.zarr.partial").exists()


@pytest.mark.parametrize("kind", ["npy", "tif"])
def test_a_result_in_memory_is_refused_as_well(tmp_path, tiny_codec, counts, fast, kind):
    path, name = save(tmp_path, kind, counts((6, 70, 90)))

    def changed_meanwhile():
        for event in run(Job(name, None, fast), codec=tiny_codec):
            if isinstance(event, Opened):
                change(path, "written")

    with pytest.raises(ValueError, match="image: expected files that nobody writes to, found that"):
        changed_meanwhile()


@pytest.mark.parametrize("kind", ["tif", "npy", "zarr", "frames"])
@pytest.mark.parametrize("how", ["written", "shortened"])
def test_no_part_is_done_and_the_same_image_again_is_right(
    tmp_path, tiny_codec, counts, fast, drain, kind, how
):
    path, name = save(tmp_path, kind, counts((6, 70, 90)))
    settings = fast.replace(stack="T" if kind == "frames" else None)
    job = Job(name, tmp_path / "out" / "a.ome.tif", settings)
    drain(run_part(job, Part(1, 2), codec=tiny_codec))
    kept = tmp_path / "kept"
    shutil.copytree(path, kept) if path.is_dir() else shutil.copy2(path, kept)

    def changed_meanwhile():
        for event in run_part(job, Part(2, 2), codec=tiny_codec):
            if isinstance(event, Opened):
                change(path, how)

    with pytest.raises((ValueError, OSError), match=r"image: expected|image: plane .* cannot be read"):
        changed_meanwhile()
    assert parts.missing(job.target, 2) == [2]
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept.rename(path)  # as it was, with its times
    drain(run_part(job, Part(2, 2), codec=tiny_codec))
    drain(finish_parts(job, codec=tiny_codec))
    whole = Job(name, tmp_path / "whole" / "a.ome.tif", settings)
    drain(run(whole, codec=tiny_codec))
    assert job.target.read_bytes() == whole.target.read_bytes()


@pytest.mark.parametrize("kind", ["tif", "npy", "zarr"])
def test_no_parts_begin_with_a_plan_of_an_image_that_changed(tmp_path, tiny_codec, counts, fast, kind):
    path, name = save(tmp_path, kind, counts((6, 70, 90)))
    job = Job(name, tmp_path / "out" / "a.ome.tif", fast.replace(rate="auto"))
    running = run_part(job, Part(1, 2), codec=tiny_codec)
    assert next(running).message  # the first of what is told while the plan is made
    change(path, "written")
    with pytest.raises(ValueError, match="image: expected"):
        list(running)
    assert parts.read_plan(job.target) is None


@pytest.mark.parametrize("by", ["path", "array"])
def test_files_are_looked_at_once_before_and_once_after(
    tmp_path, tiny_codec, counts, fast, drain, monkeypatch, by
):
    path, name = save(tmp_path, "zarr", counts((6, 70, 90)))
    looks, real = [], file_states._looked_at
    monkeypatch.setattr(file_states, "_looked_at", lambda folder: (looks.append(folder), real(folder))[1])
    given = name if by == "path" else zarr.open_array(path, mode="r")
    drain(run(Job(given, tmp_path / "out.ome.zarr", fast), codec=tiny_codec))
    assert looks == [path, path]


def test_state_of_files(tmp_path):
    (tmp_path / "z" / "c").mkdir(parents=True)
    for name in ("a", "z/c/0", "z/c/1"):
        (tmp_path / name).write_bytes(b"1234")
    paths = [tmp_path / "z", tmp_path / "a"]
    first = files_state(paths)
    assert files_state(reversed(paths)) == first
    (tmp_path / "b").write_bytes(b"other")
    assert files_state(paths) == first
    (tmp_path / "z" / "c" / "2").write_bytes(b"")
    assert files_state(paths) != first
    (tmp_path / "z" / "c" / "2").unlink()
    assert files_state(paths) == first
    (tmp_path / "z" / "c" / "1").unlink()
    assert files_state(paths) != first


def test_a_mapped_file_that_is_shortened_is_an_error_and_no_end_of_the_process(tmp_path):
    for order in "CF":
        np.save(tmp_path / "a.npy", np.asarray(np.arange(10_000, dtype="u2").reshape(100, 100), order=order))
        source = open_image(tmp_path / "a.npy")
        assert source.read((), slice(3, 4), slice(0, 2)).tolist() == [[300, 301]]
        os.truncate(tmp_path / "a.npy", 4000)
        with pytest.raises(ValueError, match=r"image: expected to read plane \(\) of a"):
            source.read((), slice(0, 100), slice(0, 100))
