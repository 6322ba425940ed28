"""What an image says besides its pixels survives reading and writing, whichever formats it goes through."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr

from napari_rdpdenoise.io import OutputSpec, SelectedSource, open_image, open_sink
from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.ome_xml import ome_root

OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
 <Experimenter ID="Experimenter:0" FirstName="Rosa" LastName="Ñandú"/>
 <Instrument ID="Instrument:0"><Microscope Model="Big One"/><Detector ID="Detector:0" Model="Cam"/>
  <Objective ID="Objective:0" NominalMagnification="63.0" LensNA="1.4"/></Instrument>
 <Image ID="Image:0" Name="other"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="5"
  SizeY="4" SizeZ="1" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>
  <TiffData IFD="6" PlaneCount="1"/></Pixels></Image>
 <Image ID="Image:1" Name="cell"><AcquisitionDate>2026-01-02T03:04:05</AcquisitionDate>
  <Description>second dish</Description><InstrumentRef ID="Instrument:0"/>
  <ObjectiveSettings ID="Objective:0" RefractiveIndex="1.515"/>
  <Pixels ID="Pixels:1" DimensionOrder="XYZTC" Type="uint16" SizeX="9" SizeY="8" SizeZ="1" SizeC="2" SizeT="3"
   PhysicalSizeX="0.1" PhysicalSizeY="100" PhysicalSizeYUnit="nm" TimeIncrement="0.5" TimeIncrementUnit="min">
   <Channel ID="Channel:1:0" Name="DAPI" SamplesPerPixel="1" Color="65535" EmissionWavelength="461"
    Fluor="DAPI"><DetectorSettings ID="Detector:0" Gain="3.0"/></Channel>
   <Channel ID="Channel:1:1" Name="GFP" SamplesPerPixel="1" Color="16711935" ExcitationWavelength="0.488"
    ExcitationWavelengthUnit="µm" EmissionWavelength="509"/>
   <TiffData IFD="0" PlaneCount="6"/>
   {planes}
  </Pixels></Image>
</OME>"""
PLANES = "".join(
    f'<Plane TheZ="0" TheC="{c}" TheT="{t}" DeltaT="{1000 * t + c}" DeltaTUnit="ms" ExposureTime="0.1" '
    f'PositionX="{10 + t}" PositionY="-3.5" PositionXUnit="mm"/>'
    for c in range(2)
    for t in range(3)
)


@pytest.fixture
def ome_file(tmp_path, image):
    """Two images: one of a page of nothing much, one of 2 channels and 3 times with all there is."""
    array = image((2, 3, 8, 9))
    with tifffile.TiffWriter(tmp_path / "in.ome.tif") as tif:
        for number, plane in enumerate(array.reshape(-1, 8, 9)):
            text = OME.format(planes=PLANES).encode() if number == 0 else None
            tif.write(plane, photometric="minisblack", metadata=None, description=text, contiguous=False)
        tif.write(plane[:4, :5], photometric="minisblack", metadata=None, contiguous=False)
    return tmp_path / "in.ome.tif"


def passed_on(source, target, **choice):
    """Write an image as it is, or a part of it, and open what was written."""
    chosen = SelectedSource(source, **choice)
    metadata = chosen.metadata
    sink = open_sink(
        target, OutputSpec(chosen.shape, metadata.axes, chosen.dtype, metadata, 64, '{"job": 1}')
    )
    for index in np.ndindex(*chosen.shape[:-2]):
        y, x = (slice(0, size) for size in chosen.shape[-2:])
        sink.write(index, y, x, chosen.read(index, y, x))
    sink.finish()
    return open_image(target)


def same_knowledge(found, expected, but=()):
    for key, value in vars(expected).items():
        if key not in ("texts", "number", "photometric", "channel_numbers", *but):
            assert getattr(found, key) == value or key == "planes", key
    assert found.planes.keys() == expected.planes.keys()
    for key, along in expected.planes.items():
        np.testing.assert_allclose(found.planes[key], along, rtol=1e-9, err_msg=key)


def test_ome_is_read(ome_file):
    found = open_image(ome_file, series=1).metadata
    assert (found.axes, found.channel_names) == ("CTYX", ("DAPI", "GFP"))
    assert [channel.color for channel in found.channels] == ["0000FF", "00FF00"]
    assert [channel.emission for channel in found.channels] == [461, 509]
    assert found.channels[1].excitation == pytest.approx(488)
    assert found.planes["DeltaT"] == pytest.approx((0, 1, 2, 0.001, 1.001, 2.001))
    assert found.planes["PositionX"] == pytest.approx((10e3, 11e3, 12e3) * 2)
    assert found.planes["PositionY"] == (-3.5,) * 6
    assert found.scale == {"X": 0.1, "Y": 100.0, "T": 0.5}
    assert found.number == 1


@pytest.mark.parametrize(
    "through",
    [("a.ome.tif",), ("a.ome.zarr",), ("a.ome.zarr", "b.ome.tif"), ("a.ome.tif", "b.ome.zarr", "c.ome.tif")],
)
def test_ome_survives_every_way(tmp_path, ome_file, through):
    source = open_image(ome_file, series=1)
    expected = source.metadata
    for name in through:
        (tmp_path / name).unlink(missing_ok=True)
        source = passed_on(source, tmp_path / name)
    found = source.metadata
    if found.axes == "TCYX":  # the order that OME-Zarr wants
        found = replace(found, axes="CTYX", planes={
            key: tuple(np.reshape(along, (3, 2)).T.ravel()) for key, along in found.planes.items()
        })  # fmt: skip
    same_knowledge(found, expected, but=("name", "channels"))
    colours = [(c.color, c.emission) for c in found.channels]
    assert colours == [("0000FF", 461), ("00FF00", 509)]
    if through[-1].endswith("tif"):
        with tifffile.TiffFile(tmp_path / through[-1]) as tif:
            root = ome_root(tif.ome_metadata)
        (kept,) = root.findall("{*}Image")
        assert kept.find("{*}AcquisitionDate").text == "2026-01-02T03:04:05"
        assert kept.find("{*}Description").text == "second dish"
        assert kept.find("{*}ObjectiveSettings").get("RefractiveIndex") == "1.515"
        assert root.find("{*}Instrument/{*}Objective").get("LensNA") == "1.4"
        assert root.find("{*}Experimenter").get("LastName") == "Ñandú"
        first = kept.find("{*}Pixels/{*}Channel")
        assert first.get("Fluor") == "DAPI"
        assert first.find("{*}DetectorSettings").get("Gain") == "3.0"
        assert root.find("{*}StructuredAnnotations/{*}CommentAnnotation/{*}Value").text == '{"job": 1}'


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.zarr"])
def test_chosen_channels_and_times_keep_their_own(tmp_path, ome_file, name):
    found = passed_on(open_image(ome_file, series=1), tmp_path / name, channels=(1,), time=(1, 3)).metadata
    assert found.planes["DeltaT"] == pytest.approx((1.001, 2.001))
    assert (found.channels[0].color, found.channels[0].emission) == ("00FF00", 509)
    if name.endswith("tif"):
        assert found.channel_names == ("GFP",)


def test_colours_windows_and_places_of_ome_zarr_survive(tmp_path, image):
    group = zarr.create_group(tmp_path / "in.zarr", zarr_format=2)
    group.create_array("0", data=image((2, 3, 8, 9)))
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"
    ]
    transforms = [
        {"type": "scale", "scale": [1, 2.0, 0.1, 0.1]},
        {"type": "translation", "translation": [0, 10.0, 250.0, -30.0]},
    ]
    group.attrs["multiscales"] = [
        {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
    ]
    window = {"start": 95, "end": 400, "min": 0, "max": 65535}
    group.attrs["omero"] = {
        "channels": [{"label": k, "color": k, "window": window} for k in ("0000FF", "00FF00")]
    }
    source = open_image(tmp_path / "in.zarr")
    assert source.metadata.origin == {"Z": 10.0, "Y": 250.0, "X": -30.0}
    out = passed_on(source, tmp_path / "a.ome.zarr")
    same_knowledge(out.metadata, source.metadata, but=("name",))
    written = zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs["ome"]
    assert [entry["color"] for entry in written["omero"]["channels"]] == ["0000FF", "00FF00"]
    assert all(entry["window"] == window for entry in written["omero"]["channels"])
    again = passed_on(out, tmp_path / "b.ome.tif").metadata
    assert [channel.color for channel in again.channels] == ["0000FF", "00FF00"]
    assert [channel.window for channel in again.channels] == [(95, 400)] * 2
    assert again.planes["PositionX"] == (-30.0,) * 6
    assert again.planes["PositionZ"] == (10.0, 12.0, 14.0) * 2


def test_transforms_of_a_whole_pyramid_come_after_those_of_its_level(tmp_path, image):
    group = zarr.create_group(tmp_path / "in.zarr", zarr_format=2)
    group.create_array("0", data=image((8, 9)))
    level = [{"type": "scale", "scale": [2, 2]}, {"type": "translation", "translation": [1, 3]}]
    whole = [{"type": "scale", "scale": [10, 10]}, {"type": "translation", "translation": [0, 5]}]
    group.attrs["multiscales"] = [
        {
            "axes": ["y", "x"],
            "datasets": [{"path": "0", "coordinateTransformations": level}],
            "coordinateTransformations": whole,
        }
    ]
    found = open_image(tmp_path / "in.zarr").metadata
    assert (found.scale, found.origin) == ({"Y": 20, "X": 20}, {"Y": 10, "X": 35})


def test_text_beside_series_is_found(tmp_path, image):
    layout = {"bioformats2raw.layout": 3}
    root = zarr.create_group(tmp_path / "in.zarr", zarr_format=2, attributes=layout)
    for number, shape in enumerate(((4, 5), (2, 3, 8, 9))):
        below = root.create_group(str(number))
        below.create_array("0", data=image(shape))
        axes = [{"name": "c", "type": "channel"}, {"name": "t", "type": "time"}, "y", "x"][-len(shape) :]
        axes = [{"name": axis} if isinstance(axis, str) else axis for axis in axes]
        below.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    (tmp_path / "in.zarr" / "OME").mkdir()
    text = OME.format(planes=PLANES).replace("Big One", "Big \1 & 1")  # faults are mended here as well
    (tmp_path / "in.zarr" / "OME" / "METADATA.ome.xml").write_text(text)
    for source in (open_image(tmp_path / "in.zarr", series=1), open_image(tmp_path / "in.zarr" / "1")):
        assert source.metadata.planes["DeltaT"] == pytest.approx((0, 1, 2, 0.001, 1.001, 2.001))
        assert [channel.emission for channel in source.metadata.channels] == [461, 509]
        assert "LensNA" in source.metadata.texts["ome"]


def test_one_imagej_table_and_label(tmp_path, image):
    """tifffile gives what there is one of as that, not as a list."""
    lut = np.zeros((3, 256), np.uint8)
    lut[1] = np.arange(256)
    meta = {"axes": "YX", "LUTs": [lut], "Ranges": (95.0, 400.0), "Labels": ["t = 3"]}
    tifffile.imwrite(tmp_path / "in.tif", image((8, 9)), imagej=True, metadata=meta)
    source = open_image(tmp_path / "in.tif")
    assert source.metadata.channels == (Channel("00FF00", (95.0, 400.0)),)
    assert source.metadata.texts["imagej-labels"] == "t = 3"
    source.close()


@pytest.mark.parametrize("through", [("a.ome.tif",), ("a.ome.zarr", "b.ome.tif")])
def test_imagej_colours_windows_and_info(tmp_path, through, image):
    luts = [np.zeros((3, 256), np.uint8) for _ in range(2)]
    luts[0][2], luts[1][1] = np.arange(256), np.arange(256)
    meta = {"axes": "TCYX", "unit": "\\u00B5m", "finterval": 0.5, "Info": "Objective = 63x\nNote = ü",
            "LUTs": luts, "Ranges": (95.0, 400.0, 10.0, 250.0), "Labels": ["a", "b", "c", "d"]}  # fmt: skip
    tifffile.imwrite(tmp_path / "in.tif", image((2, 2, 8, 9)), imagej=True, resolution=(5, 5), metadata=meta)
    source = open_image(tmp_path / "in.tif")
    expected = source.metadata
    assert expected.channels == (Channel("0000FF", (95.0, 400.0)), Channel("00FF00", (10.0, 250.0)))
    assert expected.texts["imagej"] == "Objective = 63x\nNote = ü"
    assert expected.units == {"X": "micrometer", "Y": "micrometer", "T": "second"}
    for name in through:
        source = passed_on(source, tmp_path / name)
    found = source.metadata
    assert [(c.color, c.window) for c in found.channels] == [(c.color, c.window) for c in expected.channels]
    assert found.texts["imagej"] == expected.texts["imagej"]
    assert found.texts["imagej-labels"] == "a\nb\nc\nd"


class TestColours:
    @pytest.mark.parametrize("samples", [3, 4])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("through", [("a.ome.tif",), ("a.ome.zarr", "b.ome.tif")])
    def test_rgb_and_rgba_stay_so(self, tmp_path, samples, dtype, through, image):
        array = image((70, 90, samples), dtype)
        tifffile.imwrite(tmp_path / "in.tif", array, photometric="rgb", compression="zlib")
        source = open_image(tmp_path / "in.tif")
        for name in through:
            source = passed_on(source, tmp_path / name)
        with tifffile.TiffFile(tmp_path / through[-1]) as tif:
            page = tif.pages.first
            assert page.photometric == 2
            assert page.samplesperpixel == samples
            assert [int(sample) for sample in page.extrasamples] == [2] * (samples - 3)
            np.testing.assert_array_equal(tif.asarray(), array)
        assert source.metadata.alpha == ("unassalpha" if samples == 4 else "")

    @pytest.mark.parametrize("kind", ["miniswhite", "minisblack", "separated", "palette"])
    def test_meaning_of_samples_stays(self, tmp_path, kind, image):
        array = image((70, 90, 4) if kind == "separated" else (3, 70, 90), "uint8")
        options = {}
        if kind == "palette":
            options["colormap"] = np.stack([np.arange(256) * 257, np.zeros(256), np.zeros(256)]).astype(
                np.uint16
            )
        tifffile.imwrite(tmp_path / "in.tif", array, photometric=kind, metadata=None, **options)
        passed_on(
            open_image(tmp_path / "in.tif", "YXS" if kind == "separated" else "TYX"), tmp_path / "a.ome.tif"
        )
        with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
            assert tif.pages.first.photometric.name.lower() == kind
            np.testing.assert_array_equal(tif.asarray(), array)
            if kind == "palette":
                np.testing.assert_array_equal(tif.pages.first.colormap, options["colormap"])

    def test_stacks_of_colours(self, tmp_path, image):
        array = image((2, 3, 20, 30, 3), "uint8")
        source = open_image(array, "TZYXS")
        passed_on(source, tmp_path / "a.ome.tif")
        with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
            np.testing.assert_array_equal(tif.asarray(), array)
            assert tif.series[0].axes == "TZYXS"


def test_planes_of_merged_axes_and_unknown_values(tmp_path, image):
    metadata = ImageMetadata("ZTYX", planes={"DeltaT": (0.0, 1.0, math.nan, 3.0, 4.0, 5.0)})
    spec = OutputSpec((3, 2, 8, 9), "ZTYX", np.dtype("uint16"), metadata.fitted("ZTYX", (3, 2, 8, 9)), 64)
    for name in ("a.ome.zarr", "a.ome.tif"):
        sink = open_sink(tmp_path / name, spec)
        for index in np.ndindex(3, 2):
            sink.write(index, slice(0, 8), slice(0, 9), np.ones((8, 9), np.uint16))
        sink.finish()
        found = open_image(tmp_path / name).metadata
        expected = np.reshape(metadata.planes["DeltaT"], (3, 2))
        np.testing.assert_array_equal(
            np.reshape(found.planes["DeltaT"], (3, 2) if found.axes == "ZTYX" else (2, 3)),
            expected if found.axes == "ZTYX" else expected.T,
        )


@pytest.mark.parametrize(
    "text",
    [
        '<Value><M K="MPP">0.4990</M></Value>',
        "<Value>AppMag = 20|MPP = 0.4990|x</Value>",
        "<Value>MPP: .499</Value>",
        "<MPP>0.499</MPP>",
    ],
)
def test_microns_per_pixel_where_slide_scanners_write_them(tmp_path, text, image):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="9" SizeY="8" SizeC="1" SizeZ="1" '
        'SizeT="1">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image>'
        f"<StructuredAnnotations>{text}</StructuredAnnotations></OME>"
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", image((8, 9)), metadata=None, description=xml)
    assert open_image(tmp_path / "a.ome.tif").metadata.scale == pytest.approx({"X": 0.499, "Y": 0.499})


@pytest.mark.parametrize("order", ["CSYX", "SCYX", "TCSYX", "CZSYX"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colours_of_several_channels_stay_colours(tmp_path, order, samples, image):
    sizes = {"T": 2, "C": 2, "Z": 3, "S": samples, "Y": 20, "X": 33}
    array = image([sizes[axis] for axis in order], "uint8")
    known = ImageMetadata(order, photometric="rgb", alpha="unassalpha" if samples == 4 else "")
    spec = OutputSpec(array.shape, order, array.dtype, known.fitted(order, array.shape), 64)
    for name in ("a.ome.tif", "a.ome.zarr"):
        sink = open_sink(tmp_path / name, spec)
        for index in np.ndindex(*array.shape[:-2]):
            sink.write(index, slice(0, 20), slice(0, 33), array[index])
        said = sink.notes()
        sink.finish()
        again = open_image(tmp_path / name)
        if name.endswith("zarr"):
            assert "no colours beside channels" in said[0]
            assert again.shape[again.metadata.axes.index("C")] == 2 * samples
            continue
        assert said == []
        assert again.metadata.photometric == "rgb"
        found = again.metadata.axes
        for index in np.ndindex(*again.shape[:-2]):
            place = tuple(index[found.index(axis)] for axis in order[:-2])
            np.testing.assert_array_equal(again.read(index, slice(0, 20), slice(0, 33)), array[place])
        again.close()
