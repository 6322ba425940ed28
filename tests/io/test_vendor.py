"""Files of microscope makers: through BioIO where it is installed, else refused with the way on."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.io import list_images, open_image

OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    + "".join(
        f'<Image ID="Image:{k}"><Pixels ID="Pixels:{k}" DimensionOrder="XYZCT" Type="uint16" SizeX="30" '
        'SizeY="20" SizeZ="1" SizeC="2" SizeT="3"><Channel ID="C:0" Name="DAPI" EmissionWavelength="461"/>'
        f'<Channel ID="C:1" Name="GFP"/><Plane TheT="2" TheC="1" TheZ="0" DeltaT="{4 + k}"/></Pixels></Image>'
        for k in range(2)
    )
    + "</OME>"
)


class Scenes:
    """What `bioio.BioImage` looks like to the reader: two scenes of equal shape."""

    arrays = np.random.default_rng(0).integers(0, 999, (2, 3, 2, 1, 20, 30), dtype=np.uint16)
    scenes = ("left", "right")
    dims = SimpleNamespace(order="TCZYX")
    shape, dtype = arrays.shape[1:], arrays.dtype
    physical_pixel_sizes = SimpleNamespace(Z=None, Y=0.2, X=0.1)
    time_interval = 2.5
    channel_names = ("one", "two")
    ome_metadata = SimpleNamespace(to_xml=lambda: OME)

    def __init__(self, path):
        if path.stat().st_size < 4:
            raise RuntimeError("short read")
        self.scene = 0

    def set_scene(self, number):
        self.scene = number

    @property
    def dask_data(self):
        import dask.array as da

        return da.from_array(self.arrays[self.scene], chunks=(1, 1, 1, 20, 30))


@pytest.fixture
def bioio(monkeypatch):
    """BioIO with a reader of two scenes."""
    package, base, errors = (ModuleType(name) for name in ("bioio", "bioio_base", "bioio_base.exceptions"))
    package.BioImage = Scenes
    errors.UnsupportedFileFormatError = type("UnsupportedFileFormatError", (Exception,), {})
    for module in (package, base, errors):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return errors


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.ND2").write_bytes(b"0000")
    return tmp_path / "a.ND2"


def test_scenes_are_images_with_their_metadata(bioio, path, same_pixels):
    assert [(entry.name, entry.axes) for entry in list_images(path)] == [("left", "TCYX"), ("right", "TCYX")]
    with pytest.warns(UserWarning, match=r"holds 2 images.*right"):
        same_pixels(open_image(path), Scenes.arrays[0][:, :, 0], "TCYX")
    source = open_image(path, series=1)
    same_pixels(source, Scenes.arrays[1][:, :, 0], "TCYX")
    found = source.metadata
    assert found.scale == {"X": 0.1, "Y": 0.2, "T": 2.5}
    assert found.channel_names == ("DAPI", "GFP")
    assert found.channels[0].emission == 461
    assert found.planes["DeltaT"][-1] == 5
    assert source.fingerprint() != open_image(path, series=0).fingerprint()


def test_a_plane_is_computed_once_for_its_tiles(bioio, path, monkeypatch):
    source, computed = open_image(path, series=0), []
    real = type(source._data).compute
    monkeypatch.setattr(
        type(source._data), "compute", lambda self, **k: computed.append(1) or real(self, **k)
    )
    for y in range(0, 20, 5):
        source.read((1, 1), slice(y, y + 5), slice(0, 30))
    assert len(computed) == 1


def test_without_a_reader_the_way_on_is_said(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(ValueError, match=r"a\.ND2, found none.*napari-rdpdenoise\[formats\].*bioio-nd2"):
        open_image(path)


def test_without_the_plugin_too(bioio, path, monkeypatch):
    def refuse(self, path):
        raise bioio.UnsupportedFileFormatError("nd2")

    monkeypatch.setattr(Scenes, "__init__", refuse)
    with pytest.raises(ValueError, match=r"found no plugin.*bioio-nd2"):
        open_image(path)


def test_a_damaged_file_is_refused_by_name(bioio, path):
    path.write_bytes(b"0")
    with pytest.raises(ValueError, match=r"a\.ND2 damaged.*short read.*copy or export"):
        open_image(path)


@pytest.mark.skipif(
    importlib.util.find_spec("bioio_czi") is None, reason="bioio-czi comes with the extra formats"
)
def test_a_real_czi(tmp_path, same_pixels):
    from pylibCZIrw import czi

    array = np.random.default_rng(0).integers(0, 999, (3, 2, 20, 30), dtype=np.uint16)
    with czi.create_czi(str(tmp_path / "a.czi")) as document:
        for t, c in np.ndindex(3, 2):
            document.write(data=array[t, c][..., None], plane={"T": t, "C": c, "Z": 0})
        document.write_metadata("a", channel_names={0: "DAPI", 1: "GFP"}, scale_x=1e-7, scale_y=2e-7)
    source = open_image(tmp_path / "a.czi")
    same_pixels(source, array, "TCYX")
    assert source.metadata.channel_names == ("DAPI", "GFP")
    assert source.metadata.scale["X"] == pytest.approx(0.1)
    assert source.metadata.scale["Y"] == pytest.approx(0.2)
