"""OME-XML that parsers refuse is mended where it is clear what it means; else its loss is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import OutputSpec, open_image, open_sink
from napari_rdpdenoise.io.ome_mending import decoded, fault_of, is_ome, mended

OME = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b">'
    '<Instrument ID="Instrument:0"><Objective ID="Objective:0" Model="60x"/></Instrument>'
    '<Image ID="Image:0" Name="cell"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="9" '
    'SizeY="8" SizeZ="1" SizeC="2" SizeT="3" PhysicalSizeX="0.25" PhysicalSizeY="0.25" TimeIncrement="2">'
    '<Channel ID="Channel:0:0" Name="DAPI"/><Channel ID="Channel:0:1" Name="GFP"/>'
    '<TiffData IFD="0" PlaneCount="6"/></Pixels></Image></OME>'
)
FAULTS = {
    "a control character": (b"60x", b"60\x01x"),
    "a numbered control character": (b"60x", b"60&#x2;x&#1;"),
    "a bare &": (b"60x", b"60x & oil"),
    "an entity of HTML": (b"60x", b"60x&nbsp;oil"),
    "a bare <": (b"60x", b"NA<1"),
    "NUL at the end": (b"</OME>", b"</OME>\0\0\0"),
    "words at the end": (b"</OME>", b"</OME>\n<!-- end -->\njunk"),
    "a blank at its beginning": (b"<?xml", b"\n <?xml"),
    "a mark of byte order": (b"<?xml", "\ufeff<?xml".encode()),
    "UTF-16 declared": (b'"UTF-8"', b'"UTF-16"'),
    "an unknown encoding declared": (b'"UTF-8"', b'"mac-thing"'),
    "Latin-1 bytes": (b"60x", "60×µ".encode("latin-1")),
    "a prefix of nowhere": (b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', b""),
}
LOST = {
    "cut off": lambda text: text[:400],
    "an element not closed": lambda text: text.replace(b"</Pixels>", b""),
    "an attribute twice": lambda text: text.replace(b'SizeX="9"', b'SizeX="9" SizeX="9"'),
}


def written(path, text):
    pixels = np.arange(6 * 8 * 9, dtype=np.uint16).reshape(6, 8, 9)
    tifffile.imwrite(path, pixels, description=text, metadata=None, photometric="minisblack")
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_what_it_says_is_read_and_kept(fault, tmp_path):
    before, after = FAULTS[fault]
    path = written(tmp_path / "a.ome.tif", OME.encode().replace(before, after))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_image(path)
    known = source.metadata
    assert (known.axes, source.shape) == ("TCYX", (3, 2, 8, 9))
    assert (known.scale, known.channel_names) == ({"X": 0.25, "Y": 0.25, "T": 2.0}, ("DAPI", "GFP"))
    spec = OutputSpec(source.shape, known.axes, source.dtype, known)
    sink = open_sink(tmp_path / "out.ome.tif", spec)
    sink.write((0, 0), slice(0, 8), slice(0, 9), source.read((0, 0), slice(0, 8), slice(0, 9)))
    sink.finish()
    source.close()
    text = tifffile.tiffcomment(tmp_path / "out.ome.tif")
    assert not fault_of(text)
    assert 'Objective:0" Model="' in text


@pytest.mark.parametrize("fault", LOST)
def test_what_cannot_be_read_is_told(fault, tmp_path):
    path = written(tmp_path / "a.ome.tif", LOST[fault](OME.encode()))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        source = open_image(path)
    source.close()
    first, second = (str(one.message) for one in told)
    assert first.startswith("a.ome.tif: its OME-XML is damaged (")
    assert second.startswith("a.ome.tif does not say what its axes IYX mean")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp1251"])
def test_the_encoding_of_a_file_is_found(encoding):
    letter = "я" if encoding == "cp1251" else "µ"
    text = f'<?xml version="1.0" encoding="{encoding}"?><OME Name="{letter}"/>'
    assert decoded(text.encode(encoding)).lstrip("\ufeff") == text


def test_others_declare_wrongly():
    text = '<?xml version="1.0" encoding="UTF-8"?><OME Name="µ"/>'
    assert decoded(text.encode("latin-1")) == text
    assert decoded(b"<OME \x81/>").startswith("<OME")


def test_what_is_well_formed_is_left_alone():
    assert mended(OME) is OME
    assert is_ome(OME)
    assert not is_ome("ImageJ=1.54")
    entities = '<!DOCTYPE x [<!ENTITY a "b">]>' + OME.replace("60x", "&b;\1")
    assert mended(entities) is entities
