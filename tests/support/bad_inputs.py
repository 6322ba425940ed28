"""A table of bad inputs: what people, disks and programs hand over, and the words of the answer.

A row makes its input in an empty folder and says how `denoise_file` is called on it. ``words`` is what the
error has to match; None where there is a right result in spite of all.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

PIXELS = np.random.default_rng(0).poisson(40, (3, 70, 90)).astype(np.uint16)


@dataclass(frozen=True)
class Row:
    """One bad input.

    Attributes:
        make: Function that makes it in a folder; gives the image, or its path.
        words: Pattern of the error's text, from its first line on; None for a right result.
        settings: Fields of the settings that are given.
        output: Name of the result in a folder of its own, or a path.
        dangerous: Whether it is tried in a process that is watched.
    """

    make: Callable[[Path], Any]
    words: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    output: str = "result.ome.tif"
    dangerous: bool = False


def tiff(folder: Path, array: Any = PIXELS, name: str = "a.tif", **options: Any) -> Path:
    """A TIFF as tifffile writes it."""
    tifffile.imwrite(folder / name, array, photometric="minisblack", **options)
    return folder / name


def strip(folder: Path, shape: tuple[int, int], data: bytes = bytes(64), compression: int = 1) -> Path:
    """A TIFF of one strip of 16-bit pixels, whatever its size."""
    height, width = shape
    tags = [(256, width), (257, height), (258, 16), (259, compression), (262, 1), (273, 122), (277, 1)]
    tags += [(278, height), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path = folder / "a.tif"
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data)
    return path


def text(folder: Path, content: str | bytes, name: str) -> Path:
    """A file of some bytes, and the folders it lies in; gives the uppermost of these, or the file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / Path(name).parts[0]


def cut(folder: Path, length: int, **options: Any) -> Path:
    """A TIFF of which so many bytes are there."""
    path = tiff(folder, **options)
    path.write_bytes(path.read_bytes()[:length])
    return path


def npy(folder: Path, head: object, data: bytes = b"", name: str = "a.npy") -> Path:
    """A NumPy file with a header of one's own."""
    words = repr(head).ljust(117) + "\n"
    content = b"\x93NUMPY\x01\0" + struct.pack("<H", len(words)) + words.encode() + data
    return text(folder, content, name)


def saved(folder: Path, array: Any) -> Path:
    """A NumPy file."""
    np.save(folder / "a.npy", array)
    return folder / "a.npy"


def zarr2(folder: Path, shape: list[int], chunks: list[int], chunk: bytes | None = None, **more: Any) -> Path:
    """A Zarr array of version 2, with a chunk at its beginning."""
    meta = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<u2", "compressor": None}
    meta |= {"fill_value": 0, "order": "C", "filters": None, **more}
    path = text(folder, json.dumps(meta), "a.zarr/.zarray")
    if chunk is not None:
        (path / ".".join("0" * len(shape))).write_bytes(chunk)
    return path


def multiscales(folder: Path, entry: object) -> Path:
    """An OME-Zarr group with such a description and one array, ``0``."""
    import zarr

    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    array = group.create_array("0", shape=PIXELS.shape, chunks=(1, 70, 90), dtype="u2")
    array[...] = PIXELS
    group.attrs["multiscales"] = entry
    return folder / "a.zarr"


def described(path: str = "0", axes: object = ("t", "y", "x")) -> list[dict[str, Any]]:
    """Multiscales of one image."""
    return [{"version": "0.4", "axes": axes, "datasets": [{"path": path}]}]


def pipe(folder: Path, name: str) -> Path:
    """A pipe that nobody writes to."""
    os.mkfifo(folder / name)
    return folder / name


def two_frames(folder: Path, second: Any) -> str:
    """A pattern that two files match."""
    tiff(folder, PIXELS[0], "t0.tif")
    tifffile.imwrite(folder / "t1.tif", second)
    return f"{folder}/t*.tif"


def finished(folder: Path) -> Path:
    """An image beside a file at the place of the result."""
    text(folder, "of somebody", "out/result.ome.tif")
    return tiff(folder)


OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'
GIANT_OME = OME.format(
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="90" SizeY="70" '
    'SizeZ="1" SizeC="1" SizeT="1000000"><TiffData/></Pixels></Image>'
)
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + k)} "{10 * f"&{chr(97 + k)};"}">' for k in range(12))
    + '<!ELEMENT OME ANY>]><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">&m;</OME>'
)
BIG = 10**6

FILES = {
    "no file": Row(lambda f: f / "none.tif", "image: expected a file or folder, found nothing at"),
    "no folder": Row(lambda f: f / "none" / "a.zarr", "image: expected a file or folder, found nothing"),
    "an empty name": Row(lambda f: "", "image: expected"),
    "an empty file": Row(lambda f: text(f, "", "a.tif"), "image: expected a TIFF"),
    "an empty folder": Row(lambda f: text(f, "", "d/.x"), "image: expected a TIFF"),
    "text as TIFF": Row(lambda f: text(f, "Dear all", "a.tif"), "image: expected a TIFF"),
    "a PNG as TIFF": Row(lambda f: text(f, b"\x89PNG" + bytes(99), "a.tif"), "image: expected a TIFF"),
    "HDF5": Row(lambda f: text(f, b"\x89HDF\r\n\x1a\n" + bytes(99), "a.h5"), "image: .*found HDF5"),
    "a JPEG": Row(lambda f: text(f, b"\xff\xd8\xff\xe0" + bytes(99), "a.jpg"), "image: expected a TIFF"),
    "a spreadsheet": Row(lambda f: text(f, b"PK\3\4" + bytes(99), "a.xlsx"), "image: expected a TIFF"),
    "the head of a TIFF": Row(lambda f: text(f, b"II*\0", "a.tif"), "image: expected a whole TIFF file"),
    "a TIFF without a page": Row(lambda f: text(f, b"II*\0" + bytes(4), "a.tif"), "image: expected"),
    "a TIFF with a directory behind its end": Row(
        lambda f: text(f, b"II*\0\xff\xff\0\0", "a.tif"), "image: expected"
    ),
    "a TIFF cut in its first plane": Row(lambda f: cut(f, 900), "image: expected whole planes, found a.tif"),
    "a TIFF cut in its second plane": Row(lambda f: cut(f, 22_000), None),
    "an ImageJ stack cut in its second plane": Row(lambda f: cut(f, 22_000, imagej=True), None),
    "a folder of TIFF files": Row(
        lambda f: tiff(text(f, b"", "d/.x"), name="t0.tif").parent, r"image: .*such as t0.tif; .*/\*.tif'"
    ),
    "a TIFF of masks": Row(lambda f: tiff(f, PIXELS > 40), "image: expected dtype .*found bool"),
    "a TIFF of complex numbers": Row(
        lambda f: tiff(f, PIXELS.astype("c8")), "image: expected dtype .*found complex64"
    ),
    "a TIFF of 64-bit integers": Row(
        lambda f: tiff(f, PIXELS.astype("i8")), "image: expected dtype .*found int64"
    ),
    "damaged compression": Row(
        lambda f: strip(f, (64, 64), b"x" * 100, 8), r"image: expected to read plane \(\) of a.tif"
    ),
    "compression of too little": Row(
        lambda f: strip(f, (64, 64), zlib.compress(bytes(100)), 8), r"image: expected to read plane \(\)"
    ),
    "an unknown compression": Row(lambda f: strip(f, (64, 64), b"x" * 100, 999), "image: expected"),
    "OME-XML that is none": Row(lambda f: tiff(f, description=OME[:90], metadata=None), None),
    "OME-XML without an image": Row(lambda f: tiff(f, description=OME.format(""), metadata=None), None),
    "JSON that is none": Row(
        lambda f: tiff(f, description='{"shape": [3,', metadata=None), "image: expected .*found a.tif"
    ),
    "a movie renamed to CZI": Row(lambda f: text(f, "CZI?", "a.czi"), "image: "),
    "text as ND2": Row(lambda f: text(f, "ND2?", "a.nd2"), "image: "),
    "text as LIF": Row(lambda f: text(f, "LIF?", "a.lif"), "image: "),
    "an index that is none": Row(lambda f: text(f, "x" * 50, "a/NDTiff.index"), "image: "),
    "a zip that is none": Row(lambda f: text(f, "PK", "a.zarr.zip"), "image: expected"),
    "a link to itself": Row(lambda f: (f / "a.tif").symlink_to("a.tif") or f / "a.tif", "image: expected"),
    "an image of one pixel": Row(lambda f: tiff(f, PIXELS[0, :1, :1]), None),
    "an image of one row": Row(lambda f: tiff(f, PIXELS[0, :1]), None),
    "frames of different size": Row(
        lambda f: two_frames(f, PIXELS[0, :50]), r"stack: expected files alike", {"stack": "T"}
    ),
    "frames of different type": Row(
        lambda f: two_frames(f, PIXELS[0].astype("f4")), r"stack: expected files alike", {"stack": "T"}
    ),
    "a frame that is no image": Row(
        lambda f: two_frames(f, PIXELS[0]) and text(f, "x", "t2.tif").parent / "t*.tif",
        "image: expected", {"stack": "T"},
    ),
    "a server that is not there": Row(
        lambda f: "http://127.0.0.1:9/a.zarr", "image: expected an OME-Zarr at .*found no answer"
    ),
    "a protocol that nobody knows": Row(lambda f: "gopher://x/a.zarr", "image: expected"),
    "a NumPy file of objects": Row(
        lambda f: npy(f, {"descr": "|O", "fortran_order": False, "shape": (2, 2)}, b"cos\nsystem\n."),
        "image: expected an array of numbers, found one of Python objects",
    ),
    "a NumPy file of records": Row(
        lambda f: saved(f, np.zeros((4, 4), [("a", "u2"), ("b", "u2")])), "image: expected"
    ),
    "a NumPy file of text": Row(lambda f: saved(f, np.array([["a", "b"]])), "image: expected"),
    "a NumPy file of one axis": Row(lambda f: saved(f, PIXELS[0, 0]), "image: expected at least 2"),
    "a NumPy file of a number": Row(lambda f: saved(f, np.uint16(3)), "image: expected at least 2"),
    "a NumPy file of nothing": Row(lambda f: saved(f, PIXELS[:, :0]), "image: expected at least one pixel"),
    "a NumPy file of six axes": Row(lambda f: saved(f, PIXELS[None, None, None]), "axes: "),
    "a NumPy file cut off": Row(
        lambda f: npy(f, {"descr": "<u2", "fortran_order": False, "shape": (70, 90)}, bytes(100)),
        "image: expected",
    ),
    "a Zarr array that is none": Row(lambda f: text(f, "{", "a.zarr/.zarray"), "image: expected"),
    "a Zarr group of nothing": Row(
        lambda f: text(f, '{"zarr_format": 2}', "a.zarr/.zgroup"), "image: expected .*found none in"
    ),
    "Zarr of version 9": Row(lambda f: text(f, '{"zarr_format": 9}', "a.zarr/zarr.json"), "image: expected"),
    "a Zarr of text": Row(lambda f: zarr2(f, [4, 4], [4, 4], dtype="|S3"), "image: expected"),
    "a Zarr with an unknown codec": Row(
        lambda f: zarr2(f, [4, 4], [4, 4], compressor={"id": "nothing"}), "image: expected"
    ),
    "a damaged Zarr chunk": Row(
        lambda f: zarr2(f, [70, 90], [70, 90], b"x" * 50, compressor={"id": "zlib", "level": 1}),
        r"image: expected to read plane \(\) of a, found it damaged",
    ),
    "a short Zarr chunk": Row(
        lambda f: zarr2(f, [70, 90], [70, 90], b"x" * 50), r"image: expected to read plane \(\) of a"
    ),
    "an OME-Zarr without its array": Row(
        lambda f: multiscales(f, described("7")), "image: expected the array 7"
    ),
    "an OME-Zarr without a description": Row(lambda f: multiscales(f, []), None),
    "an OME-Zarr of a wrong description": Row(lambda f: multiscales(f, [{}]), "image: expected"),
    "an OME-Zarr of wrong axes": Row(lambda f: multiscales(f, described(axes=["y", "x"])), "(axes|image): "),
    "an OME-Zarr out of its folder": Row(
        lambda f: multiscales(f, described("../../elsewhere")), "image: expected"
    ),
}  # fmt: skip

DANGEROUS = {
    "a terabyte in a strip": Row(lambda f: strip(f, (BIG, BIG)), "image: expected"),
    "a terabyte of a few bytes": Row(lambda f: strip(f, (BIG, BIG), b"x\x9c\3\0", 8), "image: expected"),
    "ten gigabytes in a strip": Row(
        lambda f: strip(f, (70_000, 70_000), os.urandom(200_000), 8), "image: expected"
    ),
    "a strip that inflates beyond its size": Row(
        lambda f: strip(f, (64, 64), zlib.compress(bytes(3 * 2**30), 1), 8), "image: expected|^$"
    ),
    "a Zarr chunk that inflates beyond its size": Row(
        lambda f: zarr2(
            f, [64, 64], [64, 64], zlib.compress(bytes(3 * 2**30), 1), compressor={"id": "zlib", "level": 1}
        ),
        "image: expected",
    ),
    "a terabyte of chunks": Row(lambda f: zarr2(f, [BIG, BIG], [1024, 1024]), "image: expected"),
    "a terabyte in a chunk": Row(lambda f: zarr2(f, [BIG, BIG], [BIG, BIG]), "image: expected"),
    "ten million planes": Row(lambda f: zarr2(f, [10 * BIG, 16, 16], [1, 16, 16]), "image: expected"),
    "chunks of nothing": Row(lambda f: zarr2(f, [4, 64, 64], [0, 0, 0]), "image: expected"),
    "sizes below nothing": Row(lambda f: zarr2(f, [-4, 64, 64], [1, 64, 64]), "image: "),
    "a mapped terabyte": Row(
        lambda f: npy(f, {"descr": "<u2", "fortran_order": False, "shape": (BIG, BIG)}, bytes(64)),
        "image: expected",
    ),
    "a million planes that are not there": Row(
        lambda f: tiff(f, PIXELS[0], description=GIANT_OME, metadata=None), None
    ),
    "a million planes for ImageJ": Row(
        lambda f: tiff(f, PIXELS[0], description=f"ImageJ=1.53\nimages={BIG}\nframes={BIG}\n", metadata=None),
        None,
    ),
    "a page that leads to itself": Row(
        lambda f: text(f, struct.pack("<2sHIH", b"II", 42, 8, 1) + struct.pack("<HHII", 256, 4, 1, 64)
                       + struct.pack("<I", 8), "a.tif"),
        "image: expected",
    ),
    "entities that expand": Row(lambda f: tiff(f, PIXELS[0], description=BOMB, metadata=None), None),
    "a pipe": Row(lambda f: pipe(f, "a.tif"), "image: expected"),
    "a pipe for a chunk": Row(
        lambda f: pipe(zarr2(f, [70, 90], [70, 90]), "0.0").parent, "image: expected plain files"
    ),
    "a device": Row(lambda f: (f / "a.tif").symlink_to("/dev/zero") or f / "a.tif", "image: expected"),
    "deep JSON": Row(lambda f: text(f, "[" * 200_000, "a.zarr/.zarray"), "image: expected"),
}  # fmt: skip

ARRAYS = {
    "nothing at all": Row(lambda f: None, "image: expected a path"),
    "a list": Row(lambda f: [[1, 2], [3, 4]], "image: expected a path"),
    "an array of one axis": Row(lambda f: PIXELS[0, 0], "image: expected at least 2"),
    "an array of nothing": Row(lambda f: PIXELS[:, :0], "image: expected at least one pixel"),
    "an array of masks": Row(lambda f: PIXELS > 40, "image: expected dtype"),
    "an array of objects": Row(lambda f: PIXELS.astype(object), "image: expected dtype"),
    "missing values alone": Row(lambda f: np.full((70, 90), np.nan, "f4"), None),
    "infinities": Row(lambda f: np.where(PIXELS[0] > 50, np.inf, PIXELS[0]).astype("f4"), None),
    "the largest numbers there are": Row(
        lambda f: PIXELS[0].astype("f8") * 1e300, "image: expected counts of at most 1e\\+30"
    ),
    "the smallest numbers there are": Row(lambda f: PIXELS[0].astype("f8") * 1e-300, None),
    "one value alone": Row(lambda f: np.full((70, 90), 7, "u2"), None),
    "nothing but zeros": Row(lambda f: np.zeros((70, 90), "u1"), None),
    "saturated throughout": Row(lambda f: np.full((70, 90), 65535, "u2"), None),
    "negative counts": Row(lambda f: PIXELS[0].astype("i2") - 3000, None),
    "an array without noise": Row(lambda f: np.add.outer(np.arange(70), np.arange(90)).astype("f4"), None),
}

SETTINGS = {
    "a rate above 1": Row(tiff, "(?s).*rate must be", {"rate": 1.5}),
    "a rate in words": Row(tiff, "(?s).*rate must be", {"rate": "best"}),
    "a rate that is no number": Row(tiff, "(?s).*rate must be", {"rate": float("nan")}),
    "realism above 1": Row(tiff, "(?s).*realism", {"realism": 2.0}),
    "a realism that the model lacks": Row(tiff, "(?s).*realism", {"realism": 0.5}),
    "tiles off the grid": Row(tiff, "(?s).*tile", {"tile": 100}),
    "a halo below nothing": Row(tiff, "(?s).*halo", {"halo": -64}),
    "a batch of nothing": Row(tiff, "(?s).*batch", {"batch": 0}),
    "an unknown device": Row(tiff, "(?s).*device", {"device": "tpu"}),
    "a channel that is not there": Row(tiff, "channels: expected", {"channels": (4,)}),
    "a channel twice": Row(tiff, "(?s).*channels must", {"channels": (0, 0)}),
    "no channel": Row(tiff, "(?s).*channels must", {"channels": ()}),
    "a time that is not there": Row(tiff, "time: expected a range", {"time": (0, 99)}),
    "time backwards": Row(tiff, "(?s).*time must be", {"time": (3, 1)}),
    "a seed below nothing": Row(tiff, "(?s).*seed", {"seed": -1}),
    "axes without rows": Row(tiff, "(?s).*axes must be|axes: expected", {"axes": "TZC"}),
    "an axis twice": Row(tiff, "(?s).*axes must be", {"axes": "YYX"}),
    "more axes than there are": Row(tiff, "axes: expected 3 letters", {"axes": "TZCYX"}),
    "a series that is not there": Row(tiff, "series: expected a number from 0 to 0", {"series": 5}),
    "a stack along its own axis": Row(tiff, "(?s).*without the axis T", {"stack": "T", "axes": "TYX"}),
    "a stack of nothing": Row(lambda f: f"{f}/*.tif", "INPUTS: expected files that match", {"stack": "T"}),
    "a stack along an unknown axis": Row(tiff, "(?s).*stack", {"stack": "Q"}),
    "an invalid value in words": Row(tiff, "(?s).*invalid must be", {"invalid": "zero"}),
    "an invalid value of NaN": Row(tiff, "(?s).*NaN is invalid always", {"invalid": float("nan")}),
    "a mask of another shape": Row(tiff, "invalid: expected a mask", {"invalid": np.zeros((9, 9), bool)}),
    "hot pixels perhaps": Row(tiff, "(?s).*hot_pixels", {"hot_pixels": "maybe"}),
    "a camera without noise": Row(tiff, "(?s).*(camera|read_noise)", {"camera": (1.0, 0.0, 0.0)}),
    "a camera of a negative gain": Row(tiff, "(?s).*(camera|gain)", {"camera": (-1.0, 0.0, 1.0)}),
    "a camera of two numbers": Row(tiff, "(?s).*camera", {"camera": (1.0, 2.0)}),
    "an unknown number type": Row(tiff, "(?s).*dtype", {"dtype": "uint8"}),
    "neighbours along no axis": Row(tiff, "neighbours: expected", {"neighbours": "Z"}),
    "an unknown option": Row(tiff, "denoise_file: expected options among", {"sharpness": 3}),
    "an unknown model": Row(tiff, "model: no model", {"model": "fluo-heavy"}),
    "a model of no card": Row(tiff, "model: ", {"model": "."}),
}  # fmt: skip

OUTPUTS = {
    "an output without an ending": Row(tiff, "output: expected a path that ends with", output="result"),
    "an output of another format": Row(tiff, "output: expected a path that ends", output="result.png"),
    "the input as output": Row(lambda f: tiff(f, name="a.ome.tif"), "(?s).*a.ome.tif", output="../a.ome.tif"),
    "an output inside the input": Row(
        lambda f: multiscales(f, described()), "(?s).*a.zarr", output="../a.zarr/b.ome.zarr"
    ),
    "an output beside the array of a group": Row(
        lambda f: multiscales(f, described()) / "0",
        "target: .*lies inside the Zarr .*a.zarr",
        output="../a.zarr/b.ome.zarr",
    ),
    "an output deep in a group": Row(
        lambda f: multiscales(f, described()) / "0",
        "target: .*lies inside the Zarr",
        output="../a.zarr/1/b.ome.tif",
    ),
    "a finished result": Row(finished, "(?s).*result.ome.tif.*overwrite", output="result.ome.tif"),
    "a file in the place of a folder": Row(
        lambda f: text(f, "x", "out/file") and tiff(f),
        "output: expected a folder for .*found a file",
        output="file/result.ome.tif",
    ),
    "a name longer than names may be": Row(
        tiff, "OUT: expected names of up to .* found one of 308", output="x" * 300 + ".ome.tif"
    ),
    "a name too long for that of its record": Row(
        tiff, "OUT: expected names of up to .* found one of 250", output="x" * 241 + ".ome.zarr"
    ),
    "a folder of too long a name": Row(
        tiff, "OUT: expected names of up to .* found one of 300", output="x" * 300 + "/a.ome.tif"
    ),
    "a path longer than paths may be": Row(tiff, "OUT: expected a path of", output="x/" * 2500 + "a.ome.tif"),
    "an input of too long a name": Row(lambda f: f / ("x" * 300), "image: expected a file or folder"),
    "a mask of too long a name": Row(
        tiff, "invalid: expected a mask at .*nothing at", {"invalid": "x" * 300 + ".tif"}
    ),
    "a pattern of too long a name": Row(
        lambda f: f"{f}/{'x' * 300}*.tif", "INPUTS: expected files that match", {"stack": "T"}
    ),
    "a model of too long a name": Row(tiff, "model: no model", {"model": "x" * 300}),
    "a name with a null character": Row(tiff, "(?s).*", output="a\0b.ome.tif"),
    "a name that is not UTF-8": Row(tiff, "INPUTS, OUT: expected names in UTF-8", output="a\udcff.ome.tif"),
    "brackets, blanks and accents": Row(lambda f: tiff(f, name="é [1] ü.tif"), None, output="ö [2].ome.tif"),
}

ROWS = {
    f"{kind}: {name}": row
    for kind, rows in (
        ("file", FILES),
        ("array", ARRAYS),
        ("setting", SETTINGS),
        ("output", OUTPUTS),
        ("dangerous", DANGEROUS),
    )
    for name, row in rows.items()
}


def attempt(row: Row, folder: Path, model: Any, made: Any = None) -> tuple[str | None, list[str]]:
    """Try a row in its folder: the error's words (None for a result), and what was left in ``out``.

    ``made`` is its image where that is made already.
    """
    import warnings

    from napari_rdpdenoise import denoise_file

    image = row.make(folder) if made is None else made
    result = folder / "out" / row.output
    before = {path.name for path in (folder / "out").rglob("*")} if (folder / "out").is_dir() else set()
    options = {"model": model, "device": "cpu", "rate": 0.5, "structure": "none", **row.settings}
    said = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            denoise_file(image, result, **options)
        except (ValueError, TypeError, OSError) as error:
            said = str(error) or type(error).__name__
    left = sorted(path.name for path in (folder / "out").rglob("*")) if (folder / "out").is_dir() else []
    return said, [name for name in left if name not in before]
