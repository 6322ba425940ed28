"""TIFF files of every kind that cameras, scanners and programs write give the pixels that went in."""

from __future__ import annotations

import struct
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import list_images, open_image, planes
from napari_rdpdenoise.io.tiff.makers import maker_metadata

COUNTS = np.random.default_rng(0).poisson(np.linspace(20, 200, 90) * np.ones((3, 70, 1))).astype("u2")
COLOUR = np.moveaxis(COUNTS.astype("u1"), 0, -1).copy()
GREY = {"photometric": "minisblack"}


def pixels_of(path, **options):
    """All planes of a file, and what was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        source = open_image(path, **options)
        found = [
            source.read(i, slice(0, source.shape[-2]), slice(0, source.shape[-1])) for i in planes(source)
        ]
        pixels = np.reshape(found, source.shape)
        source.close()
    return pixels, " ".join(str(warning.message) for warning in told)


def packed(path, image, bits):
    """A grey TIFF of one strip whose samples fill bits and no more; rows begin with a byte."""
    spread = (image[..., None] >> np.arange(bits)[::-1]) & 1
    data = np.packbits(spread.reshape(len(image), -1).astype("u1"), axis=1).tobytes()
    height, width = image.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 122), (277, 1)]
    tags += [(278, height), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data)
    return path


@pytest.mark.parametrize("width", [90, 89])
@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
def test_samples_that_fill_no_whole_bytes(bits, width, tmp_path):
    image = COUNTS[0, :, :width] >> max(0, 8 - bits)
    found, _ = pixels_of(packed(tmp_path / "a.tif", image, bits))
    assert found.dtype == (np.uint8 if bits <= 8 else np.uint16)
    np.testing.assert_array_equal(found, image)


def test_bits_are_a_mask(tmp_path):
    with pytest.raises(TypeError, match="found bool; a mask holds no noise"):
        open_image(packed(tmp_path / "a.tif", COUNTS[0] & 1, 1))


@pytest.mark.parametrize("options", [{"compression": "zlib", "predictor": 2}, {"tile": (32, 48)}, {}])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["i1", "i2", "u4", "f2", "f4", "f8"])
def test_number_types_in_both_byte_orders(dtype, order, options, tmp_path):
    image = (COUNTS.astype("f8") - 100 * (dtype[0] == "i")).clip(-128, 127).astype(dtype)
    if dtype[0] == "f" and "predictor" in options:
        options = {**options, "predictor": 3}
    tifffile.imwrite(tmp_path / "a.tif", image, byteorder=order, **options, **GREY)
    found, _ = pixels_of(tmp_path / "a.tif")
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    "name", ["zstd", "lzma", "lzw", "deflate", "packbits", "jpeg2000", "png", "lerc", "jpegxl"]
)
@pytest.mark.parametrize("options", [{}, {"tile": (64, 48)}])
def test_compressions_without_loss(name, options, tmp_path):
    if name == "jpegxl":
        options = {**options, "compressionargs": {"lossless": True}}
    tifffile.imwrite(tmp_path / "a.tif", COUNTS, compression=name, **options, **GREY)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif")[0], COUNTS)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (COLOUR, {}),
        (COLOUR.astype("u2") * 200, {"compression": "lzw", "predictor": 2}),
        (np.moveaxis(COLOUR, -1, 0), {"planarconfig": "separate"}),
        (np.moveaxis(COLOUR, -1, 0), {"planarconfig": "separate", "tile": (32, 32), "compression": "zlib"}),
    ],
)
def test_colours_side_by_side_and_plane_after_plane(image, options, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", **options)
    expected = image if options.get("planarconfig") else np.moveaxis(image, -1, 0)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif")[0], expected)


@pytest.mark.parametrize("marked", [True, False])
def test_a_thumbnail_before_the_planes_is_not_taken_for_them(marked, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(COUNTS[0, ::4, ::4], subfiletype=int(marked), metadata=None, **GREY)
        for plane in COUNTS:
            tif.write(plane, metadata=None, **GREY)
    found, told = pixels_of(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, COUNTS)
    assert "number 1 is taken" in told
    assert [info.secondary for info in list_images(tmp_path / "a.tif")] == [True, False]


def test_images_of_other_proportions_are_no_thumbnails(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(COUNTS[0, :30, :30], metadata=None, **GREY)
        tif.write(COUNTS[1], metadata=None, **GREY)
    assert not any(info.secondary for info in list_images(tmp_path / "a.tif"))


def test_a_slide_in_levels_with_overviews(tmp_path):
    slide = np.kron(COLOUR, np.ones((8, 8, 1), "u1"))
    words = (
        "Aperio Image Library v12.0.15\r\n560x720 [0,0 560x720] (256x256) JPEG/RGB Q=70|AppMag = 20|MPP = 0.5"
    )
    with tifffile.TiffWriter(tmp_path / "a.svs") as tif:
        jpeg = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
        tif.write(slide, tile=(256, 256), description=words, **jpeg)
        tif.write(COLOUR, rowsperstrip=16, description="Aperio Image Library v12\r\n-> 90x70 - ", **jpeg)
        tif.write(slide[::4, ::4], tile=(256, 256), description=words, **jpeg)
        tif.write(COLOUR, description="Aperio Image Library v12\r\nlabel 90x70", subfiletype=1, **jpeg)
    found, told = pixels_of(tmp_path / "a.svs")
    assert found.shape == (3, 560, 720)
    assert np.abs(found - np.moveaxis(slide, -1, 0).astype(int)).mean() < 8
    assert "Baseline" in told
    source = open_image(tmp_path / "a.svs", series=0)
    assert source.metadata.scale == {"X": 0.5, "Y": 0.5}
    source.close()


def lsm(path, image):
    """A Zeiss LSM of Z planes, each followed by its thumbnail."""
    head = bytearray(264)
    struct.pack_into("<IiiiiiiI", head, 0, 0x00400494C, 264, 90, 70, len(image), 1, 1, 2)
    struct.pack_into("<3d", head, 40, 1e-7, 1e-7, 5e-7)
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=False) as tif:
        for number, plane in enumerate(image):
            tags = [(34412, 7, len(head), bytes(head), True)] if number == 0 else []
            tif.write(plane, extratags=tags, metadata=None, **GREY)
            thumbnail = np.repeat(plane[::4, ::4, None] >> 1, 3, -1).astype("u1")
            tif.write(thumbnail, subfiletype=1, metadata=None, photometric="rgb")
    return path


def test_lsm(tmp_path):
    path = lsm(tmp_path / "a.lsm", COUNTS)
    found, _ = pixels_of(path)
    np.testing.assert_array_equal(found, COUNTS)
    source = open_image(path, series=0)
    assert source.metadata.axes == "ZYX"
    assert source.metadata.scale == pytest.approx({"X": 0.1, "Y": 0.1, "Z": 0.5})
    source.close()


def test_fluoview(tmp_path):
    path, header = tmp_path / "a.tif", np.zeros((), np.dtype(tifffile.TIFF.MM_HEADER))
    for place, (name, size, step, unit) in enumerate(
        [("X", 90, 0.2, "um"), ("Y", 70, 0.2, "um"), ("Time", 3, 1.5, "s")]
    ):
        header["Dimensions"][place] = (name.encode(), size, 0.0, step, unit.encode())
    header["ImageName"] = b"cells"
    stamp = (34362, 12, 8, (0.0,) * 8, True)
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=False) as tif:
        for number, plane in enumerate(COUNTS):
            tags = [(34361, 7, header.nbytes, header.tobytes(), True)] if number == 0 else []
            tif.write(plane, extratags=[*tags, stamp], metadata=None, description="[FLUOVIEW]", **GREY)
    np.testing.assert_array_equal(pixels_of(path)[0], COUNTS)
    source = open_image(path)
    assert source.metadata.axes == "TYX"
    assert source.metadata.scale == pytest.approx({"X": 0.2, "Y": 0.2, "T": 1.5})
    assert dict(source.metadata.units) == {"X": "micrometer", "Y": "micrometer", "T": "second"}
    source.close()


@pytest.mark.parametrize(
    ("family", "meta", "scale"),
    [
        ("sis", {"pixelsizex": 2e-7, "pixelsizey": 3e-7}, {"X": 0.2, "Y": 0.3}),
        ("fei", {"Scan": {"PixelWidth": 1e-9, "PixelHeight": 1e-9}}, {"X": 1e-3, "Y": 1e-3}),
        ("sem", {"ap_image_pixel_size": ("Image Pixel Size", 5.0, "nm")}, {"X": 5e-3, "Y": 5e-3}),
        ("sem", {"ap_pixel_size": ("Pixel Size", 5.0, "nm")}, {"X": 5e-3, "Y": 5e-3}),
        ("scanimage", {"FrameData": {"SI.hRoiManager.scanFrameRate": 4.0}}, {"T": 0.25}),
        ("fluoview", {"Dimensions": None}, None),
        ("lsm", {"VoxelSizeX": "?", "ChannelColors": 3}, None),
        ("fei", {}, None),
    ],
)
def test_what_makers_say(family, meta, scale):
    families = ("lsm", "fluoview", "sis", "fei", "sem", "scanimage")
    file = SimpleNamespace(**{f"{name}_metadata": None for name in families})
    setattr(file, f"{family}_metadata", meta)
    found = maker_metadata(file, "TYX")
    assert (None if found is None else found.scale) == (None if scale is None else pytest.approx(scale))


SAID = {
    "ImageJ": "ImageJ=1.54\nimages={n}\nslices={n}\n",
    "OME": '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="90" SizeY="70" '
    'SizeZ="{n}" SizeC="1" SizeT="1"><TiffData/></Pixels></Image></OME>',
}


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("said", SAID)
def test_pages_that_the_description_leaves_out_are_told(said, compression, tmp_path):
    for count, told in ((3, ""), (2, "1 page more")):
        text = SAID[said].format(n=count)
        path = tmp_path / f"{count}.tif"
        tifffile.imwrite(path, COUNTS, description=text, metadata=None, compression=compression, **GREY)
        found, words = pixels_of(path)
        np.testing.assert_array_equal(np.atleast_3d(found).reshape(-1, 70, 90), COUNTS[:count])
        assert (told in words) if told else ("more than its metadata" not in words)


@pytest.mark.parametrize("options", [{"tile": (32, 48)}, {"rowsperstrip": 16}])
@pytest.mark.parametrize("tag", ["Offsets", "ByteCounts"])
def test_strips_and_tiles_without_data_are_counted(options, tag, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane in COUNTS:
            tif.write(plane, compression="zlib", metadata=None, **GREY, **options)
    assert "no data" not in pixels_of(tmp_path / "a.tif")[1]
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tif:
        place = tif.pages[1].tags[("Tile" if "tile" in options else "Strip") + tag]
        place.overwrite([0, *place.value[1:-1], 0])
    found, told = pixels_of(tmp_path / "a.tif")
    assert "2 strips or tiles in 1 of its planes have no data" in told
    np.testing.assert_array_equal(found[[0, 2]], COUNTS[[0, 2]])
    assert not found[1, :16, :16].any()
    assert not found[1, -4:, -4:].any()


def test_planes_without_any_data_are_missing(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane in COUNTS:
            tif.write(plane, compression="zlib", metadata=None, rowsperstrip=16, **GREY)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tif:
        place = tif.pages[1].tags["StripByteCounts"]
        place.overwrite([0] * len(place.value))
    found, told = pixels_of(tmp_path / "a.tif")
    assert "1 of 3 planes are missing" in told
    assert not found[1].any()
    np.testing.assert_array_equal(found[2], COUNTS[2])
