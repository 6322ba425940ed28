"""TIFF of every common kind, read lazily."""

from __future__ import annotations

import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.source import SUPPORTED_DTYPES

WRITINGS = {
    "one uncompressed run": {},
    "stripped": {"rowsperstrip": 7},
    "tiled": {"tile": (32, 16)},
    "tiled zlib": {"tile": (32, 48), "compression": "zlib"},
    "stripped zlib": {"rowsperstrip": 5, "compression": "zlib"},
    "one strip zlib": {"rowsperstrip": 1000, "compression": "zlib"},
    "lzw with predictor": {"compression": "lzw", "predictor": True},
    "zstd": {"compression": "zstd"},
    "packbits": {"compression": "packbits"},
    "bigtiff": {"bigtiff": True},
    "bigtiff tiled zstd": {"bigtiff": True, "tile": (16, 16), "compression": "zstd"},
    "big endian": {"byteorder": ">"},
    "big endian deflate": {"byteorder": ">", "compression": "deflate"},
}
WRITER_OPTIONS = ("bigtiff", "byteorder", "imagej", "ome")


def write(path, array, axes, **options):
    with tifffile.TiffWriter(path, **{k: options.pop(k) for k in WRITER_OPTIONS if k in options}) as tif:
        tif.write(
            array, photometric="minisblack", metadata={"axes": axes, **options.pop("meta", {})}, **options
        )
    return path


@pytest.mark.parametrize(
    ("form", "writing"),
    # ImageJ's format is classic TIFF of big-endian bytes
    [
        (form, writing)
        for form in ("ome", "imagej", "shaped")
        for writing in WRITINGS
        if form != "imagej" or "big" not in writing
    ],
)
def test_any_region_equals_that_of_the_whole(tmp_path, form, writing, image, same_pixels):
    options = dict(WRITINGS[writing])
    options |= {} if form == "shaped" else {form: True}
    axes = "TZCYX"
    array = image((2, 3, 2, 45, 37))
    source = open_image(write(tmp_path / "a.tif", array, axes, **options))
    same_pixels(source, array, axes)
    source.close()


@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_dtype_is_read_as_it_is(tmp_path, dtype, compression, image, same_pixels):
    array = image((2, 33, 17), dtype)
    path = write(tmp_path / "a.tif", array, "TYX", compression=compression)
    same_pixels(open_image(path), array, "TYX", regions=4)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (17, 33), (1, 1, 1), (3, 1, 1), (2, 3, 1, 1)])
def test_small_and_flat_images(tmp_path, shape, compression, image, same_pixels):
    axes = "TZYX"[-len(shape) :]
    array = image(shape)
    source = open_image(write(tmp_path / "a.tif", array, axes, compression=compression), axes)
    same_pixels(source, array, axes)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 32), "compression": "zlib"}])
def test_colour_is_presented_as_samples(tmp_path, planar, options, image, same_pixels):
    axes = "YXS" if planar == "contig" else "SYX"
    array = image((40, 50, 3) if planar == "contig" else (3, 40, 50), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", planarconfig=planar, **options)
    same_pixels(open_image(tmp_path / "a.tif"), array, axes)


def test_pyramid_is_read_at_full_resolution(tmp_path, image, same_pixels):
    array = image((64, 48))
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        tif.write(array, subifds=1, tile=(16, 16))
        tif.write(array[::2, ::2], subfiletype=1, tile=(16, 16))
    same_pixels(open_image(tmp_path / "a.ome.tif"), array, "YX")


def write_set(folder, array):
    """A multi-file OME-TIFF as microscopes write it: a file per time point, each describing all."""
    names = [f"t{t}.ome.tif" for t in range(len(array))]
    uuids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{t}" for t in range(len(array))]
    t, z, y, x = array.shape
    data = "".join(
        f'<TiffData FirstT="{k}" FirstZ="0" FirstC="0" IFD="0" PlaneCount="{z}">'
        f'<UUID FileName="{names[k]}">{uuids[k]}</UUID></TiffData>'
        for k in range(t)
    )
    for k in range(t):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuids[k]}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
            f'SizeX="{x}" SizeY="{y}" SizeZ="{z}" SizeC="1" SizeT="{t}" '
            f'PhysicalSizeX="0.25" PhysicalSizeY="0.5"><Channel ID="Channel:0:0"/>{data}'
            "</Pixels></Image></OME>"
        )
        tifffile.imwrite(
            folder / names[k],
            array[k],
            photometric="minisblack",
            metadata=None,
            description=xml,
            contiguous=False,
        )
    return folder / names[0]


def test_set_of_files_is_one_image(tmp_path, image, same_pixels):
    array = image((3, 2, 20, 30))
    source = open_image(write_set(tmp_path, array))
    same_pixels(source, array, "TZYX")
    assert source.metadata.scale == {"X": 0.25, "Y": 0.5}
    assert source.metadata.units == {"X": "micrometer", "Y": "micrometer"}


def test_missing_sibling_is_said_and_reads_as_zeros(tmp_path, image, same_pixels):
    array = image((3, 2, 20, 30))
    path = write_set(tmp_path, array)
    whole = open_image(path)
    identity = whole.fingerprint()
    whole.close()
    (tmp_path / "t1.ome.tif").unlink()
    with pytest.warns(UserWarning, match="2 of 6 planes are missing"):
        source = open_image(path)
    array[1] = 0
    same_pixels(source, array, "TZYX", regions=30)
    assert source.fingerprint() != identity


def test_ome_metadata_is_found(tmp_path, image):
    meta = {
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 120.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 1.5,
        "TimeIncrement": 2.5,
        "TimeIncrementUnit": "min",
        "Channel": {"Name": ["DAPI", "GFP"]},
    }
    path = write(tmp_path / "Cell.OME.tif", image((2, 3, 2, 9, 8)), "TZCYX", ome=True, meta=meta)
    found = open_image(path).metadata
    assert found.scale == {"X": 0.1, "Y": 120.0, "Z": 1.5, "T": 2.5}
    assert found.units == {"X": "micrometer", "Y": "nanometer", "Z": "micrometer", "T": "minute"}
    assert found.channel_names == ("DAPI", "GFP")
    assert found.name == "Cell"


def test_imagej_metadata_is_found(tmp_path, image):
    meta = {"unit": "um", "spacing": 2.0, "finterval": 0.5}
    path = write(
        tmp_path / "a.tif", image((2, 3, 9, 8)), "TZYX", imagej=True, meta=meta, resolution=(10.0, 5.0)
    )
    found = open_image(path).metadata
    assert found.scale == pytest.approx({"X": 0.1, "Y": 0.2, "Z": 2.0, "T": 0.5})
    assert found.units == {"X": "micrometer", "Y": "micrometer", "Z": "micrometer", "T": "second"}


def test_resolution_in_centimetres_counts_and_printer_inches_do_not(tmp_path, image):
    for unit, expected in (("CENTIMETER", {"X": 0.5, "Y": 0.5}), ("INCH", {})):
        tifffile.imwrite(tmp_path / "a.tif", image((9, 8)), resolution=(20000, 20000), resolutionunit=unit)
        assert open_image(tmp_path / "a.tif").metadata.scale == pytest.approx(expected)


@pytest.mark.parametrize(("shape", "axes"), [((4, 9, 8), "TYX"), ((2, 3, 9, 8), "TZYX")])
def test_axes_without_a_meaning_are_taken_as_time_and_said(tmp_path, shape, axes, image, same_pixels):
    array = image(shape)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    with pytest.warns(UserWarning, match=f"taken as {axes}"):
        source = open_image(tmp_path / "a.tif")
    same_pixels(source, array, axes)


def test_given_axes_win_without_a_warning(tmp_path, image, same_pixels):
    array = image((4, 9, 8))
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    same_pixels(open_image(tmp_path / "a.tif", "zyx"), array, "ZYX")


def test_given_axes_may_count_the_dimensions_of_length_one(tmp_path, image, same_pixels):
    array = image((1, 3, 1, 9, 8))
    path = write(tmp_path / "a.ome.tif", array, "TZCYX", ome=True)
    assert open_image(path).metadata.axes == "ZYX"
    same_pixels(open_image(path, "TYX"), array[0, :, 0], "TYX")
    same_pixels(open_image(path, "TZCYX"), array, "TZCYX")
    with pytest.raises(ValueError, match="3 letters"):
        open_image(path, "TZYXC")  # rows and columns are not where the file has them


@pytest.mark.parametrize(
    ("axes", "message"), [("YX", "3 letters"), ("TZC", "both Y"), ("TTYX", "once"), ("YYX", "once")]
)
def test_axes_that_do_not_fit_are_refused(tmp_path, axes, message, image):
    tifffile.imwrite(tmp_path / "a.tif", image((4, 9, 8)), photometric="minisblack")
    with pytest.raises(ValueError, match=message):
        open_image(tmp_path / "a.tif", axes)


def test_refused_files(tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", np.zeros((9, 8), bool))
    with pytest.raises(TypeError, match="found bool; a mask"):
        open_image(tmp_path / "mask.tif")
    (tmp_path / "broken.tif").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(ValueError, match="TIFF"):
        open_image(tmp_path / "broken.tif")


def test_several_images_in_one_file_are_said(tmp_path, image, same_pixels):
    array = image((9, 8))
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(array)
        tif.write(image((5, 6)))
    with pytest.warns(UserWarning, match="holds 2 images"):
        source = open_image(tmp_path / "a.tif")
    same_pixels(source, array, "YX")


def test_only_the_touched_chunks_are_decoded_and_each_once(tmp_path, image):
    path = write(tmp_path / "a.tif", image((3, 128, 128)), "TYX", tile=(32, 32), compression="zlib")
    source = open_image(path)
    assert source._store.decoded == 0
    source.read((1,), slice(30, 34), slice(40, 60))
    assert source._store.decoded == 2
    source.read((1,), slice(0, 64), slice(32, 64))
    assert source._store.decoded == 2
    source.read((2,), slice(0, 1), slice(0, 128))
    assert source._store.decoded == 6


def test_cache_of_chunks_stays_within_its_budget(tmp_path, image):
    from napari_rdpdenoise.io.tiff.chunk_cache import ChunkCacheStore

    array = image((64, 64))
    path = write(tmp_path / "a.tif", array, "YX", tile=(16, 16), compression="zlib")
    import zarr

    with tifffile.TiffFile(path) as tif:
        store = ChunkCacheStore(tif.series[0].aszarr(), limit_bytes=3 * 16 * 16 * 2)
        view = zarr.open_array(store=store, mode="r", zarr_format=2)
        for _ in range(2):
            np.testing.assert_array_equal(view[:], array)
        assert len(store._chunks) == 3
        assert store._chunks.currsize == sum(len(chunk) for chunk in store._chunks.values())
        store.close()


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 9, "compression": "zlib"}])
def test_several_threads_read_the_same_pixels(tmp_path, options, image):
    array = image((6, 100, 90))
    source = open_image(write(tmp_path / "a.tif", array, "TYX", **options))

    def matches(number):
        t, y = number % 6, number % 50
        block = source.read((t,), slice(y, y + 50), slice(0, 90))
        return np.array_equal(block, array[t, y : y + 50])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(matches, range(60)))


def test_fingerprint_follows_the_file(tmp_path, image):
    path = write(tmp_path / "a.tif", image((9, 8)), "YX")
    first = open_image(path).fingerprint()
    assert open_image(path).fingerprint() == first
    write(path, image((9, 8), seed=1), "YX")
    os.utime(path, ns=(1, 1))
    assert open_image(path).fingerprint() != first


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("mitosis_tzcyx.ome.tif", (12, 5, 2, 196, 171), "uint16"),
        ("drosophila_tyx.tif", (63, 264, 542), "uint8"),
    ],
)
def test_real_stacks(name, shape, dtype, data_folder, same_pixels):
    path = data_folder / "data" / "stacks" / name
    if not path.exists():
        pytest.skip(f"{name} is not among the real images")
    source = open_image(path)
    assert source.dtype == dtype
    assert source.shape == shape
    same_pixels(source, tifffile.imread(path), source.metadata.axes)
    if name.startswith("mitosis"):
        assert source.metadata.scale == pytest.approx({"X": 0.0885, "Y": 0.0885, "Z": 1.0, "T": 1 / 7})


def test_orientation_is_told(tmp_path, image):
    """The result keeps rows as they are stored."""
    for number, told in ((1, False), (6, True)):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(
            path, image((45, 37)), photometric="minisblack", extratags=[(274, 3, 1, number, True)]
        )
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            open_image(path).close()
        assert ["orientation 6" in str(line.message) for line in found] == [True] * told


def test_numbers_of_colours_are_told_from_brightness(tmp_path, image):
    rng, ramp = np.random.default_rng(0), np.arange(256) * 257
    hot = np.clip(np.stack([3 * ramp, 3 * ramp - 65535, 3 * ramp - 2 * 65535]), 0, 65535)
    for palette, told in ((np.stack([ramp] * 3), 0), (hot, 0), (rng.integers(0, 65536, (3, 256)), 1)):
        path = tmp_path / "a.tif"
        tifffile.imwrite(
            path, image((45, 37), "uint8"), photometric="palette", colormap=palette.astype(np.uint16)
        )
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            open_image(path).close()
        assert ["numbers of colours" in str(line.message) for line in found] == [True] * told


def write_packed(path, counts, bits, byteorder):
    """One strip of integers of any number of bits, as TIFF packs them."""
    rows, columns = counts.shape
    places = np.arange(bits - 1, -1, -1)
    packed = np.packbits(((counts[..., None] >> places) & 1).astype("u1").reshape(rows, -1), axis=1).tobytes()
    if bits == 24 and byteorder == "<":
        packed = np.frombuffer(packed, "u1").reshape(-1, 3)[:, ::-1].tobytes()
    tags = {256: columns, 257: rows, 258: bits, 259: 1, 262: 1, 273: 512, 277: 1, 278: rows, 279: len(packed)}
    head = (b"II*\0" if byteorder == "<" else b"MM\0*") + struct.pack(f"{byteorder}IH", 8, len(tags))
    for tag, value in tags.items():
        head += struct.pack(f"{byteorder}HHII", tag, 4, 1, value)
    path.write_bytes((head + bytes(4)).ljust(512, b"\0") + packed)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bits", [4, 10, 12, 20, 24, 28])
def test_integers_of_any_number_of_bits_are_right_or_refused(tmp_path, bits, byteorder):
    counts = np.random.default_rng(0).integers(0, 2**bits, (17, 20))
    write_packed(tmp_path / "a.tif", counts, bits, byteorder)
    if (bits, byteorder) == (24, "<"):
        with pytest.raises(
            TypeError, match=r"image: expected integers of 8, 16 or 32 bits, found 24 bits in a\.tif"
        ):
            open_image(tmp_path / "a.tif")
        return
    found = open_image(tmp_path / "a.tif").read((), slice(None), slice(None))
    np.testing.assert_array_equal(found, counts)
