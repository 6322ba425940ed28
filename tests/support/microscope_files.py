"""Files as acquisition programs write them, made byte by byte: Micro-Manager's MMStack and NDTiff."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

_TAGS = 13
_DIRECTORY = 2 + 12 * _TAGS + 4


def write_mmstack(path: Path, planes, summary, about=None) -> Path:
    """Write an MMStack file.

    Args:
        path: File, ``PREFIX_MMStack_....ome.tif``.
        planes: uint16 planes by (channel, slice, frame, position), in the order of acquisition.
        summary: JSON of the acquisition.
        about: JSON of a plane by its place; None for the bare numbers.
    """
    text = json.dumps(summary).encode()
    head = bytearray(40) + text
    body, index = bytearray(), []
    for place, plane in planes.items():
        offset = len(head) + len(body)
        index.append((*place, offset))
        rows, columns = plane.shape
        pixels = plane.astype("<u2").tobytes()
        entry = json.dumps((about or {}).get(place, {})).encode() + b"\0"
        after = offset + _DIRECTORY + len(pixels)
        tags = [
            (256, 4, 1, columns),
            (257, 4, 1, rows),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, offset + _DIRECTORY),
            (277, 3, 1, 1),
            (278, 4, 1, rows),
            (279, 4, 1, len(pixels)),
            (282, 5, 1, after),
            (283, 5, 1, after),
            (296, 3, 1, 1),
            (51123, 2, len(entry), after + 8),
        ]
        following = after + 8 + len(entry)
        last = place == list(planes)[-1]
        directory = struct.pack("<H", _TAGS) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        body += directory + struct.pack("<I", 0 if last else following) + pixels
        body += struct.pack("<II", 1, 1) + entry
    at = len(head) + len(body)
    table = struct.pack("<II", 3453623, len(index)) + b"".join(struct.pack("<5I", *entry) for entry in index)
    struct.pack_into("<4sI", head, 0, b"II*\0", len(head))
    struct.pack_into("<8I", head, 8, 54773648, at, 483765892, 0, 99384722, 0, 2355492, len(text))
    path.write_bytes(head + body + table)
    return path


def write_ndtiff(folder: Path, planes, summary=None, about=None, name="run_NDTiffStack.tif") -> Path:
    """Write an NDTiff data set of one file.

    Args:
        folder: Folder of the data set, which is made.
        planes: Pairs of a plane (uint8, uint16, or uint8 with 3 samples last) and its place by axis, such as
            ``{"time": 0, "channel": "GFP"}``.
        summary: JSON of the acquisition.
        about: JSON of every plane, in the same order.
        name: Name of the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary or {}).encode()
    file = bytearray(struct.pack("<4sI5I", b"II*\0", 0, 483729, 3, 0, 2355492, len(text)) + text)
    index = bytearray()
    for number, (plane, place) in enumerate(planes):
        entry = json.dumps(about[number] if about else {}).encode()
        start = len(file)
        file += np.ascontiguousarray(plane).tobytes() + entry
        kind = 2 if plane.ndim == 3 else 0 if plane.dtype == np.uint8 else 1
        where = json.dumps(place).encode()
        index += struct.pack("<I", len(where)) + where + struct.pack("<I", len(name)) + name.encode()
        rows, columns = plane.shape[:2]
        index += struct.pack("<8I", start, columns, rows, kind, 0, start + plane.nbytes, len(entry), 0)
    (folder / name).write_bytes(file)
    (folder / "NDTiff.index").write_bytes(index)
    return folder
