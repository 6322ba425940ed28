"""OME-XML of a result, which keeps what the input's text said.

Only what the pixels decide is new: sizes, number type, where planes lie, the channels and planes that were
chosen. Instrument, objective, experimenter, annotations, acquisition date and all attributes of channels are
taken over from the text of the input, where there is one.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

import numpy as np

from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.ome_xml import OURS, PLANE_UNITS, WINDOWS, Element, ome_root
from napari_rdpdenoise.io.units import unit_symbol

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_SCHEMA = f"{_NAMESPACE} {_NAMESPACE}/ome.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# What belongs to other images or files of a set, and is not true of a result.
_DROPPED = ("Plate", "Screen", "Dataset", "Project", "Folder", "ROI", "Image", "BinaryOnly")
_IMAGE_ORDER = (
    "AcquisitionDate", "ExperimenterRef", "Description", "ExperimentRef", "ExperimenterGroupRef",
    "InstrumentRef", "ObjectiveSettings", "ImagingEnvironment", "StageLabel", "Pixels", "ROIRef",
    "MicrobeamManipulationRef", "AnnotationRef",
)  # fmt: skip
_TYPES = {"float32": "float", "float64": "double"}


class OmeWriter:
    """Makes the OME-XML of a result.

    Args:
        known: Metadata of the result, with the input's text where there is one.
        axes: Stored axes of the result: leading ones, then YX, then S for interleaved samples.
        shape: Sizes of these.
        dtype: Number type.
    """

    def __init__(self, known: ImageMetadata, axes: str, shape: Sequence[int], dtype: np.dtype) -> None:
        self._known, self._axes, self._dtype = known, axes, dtype
        self._sizes = dict(zip(axes, shape, strict=True))
        self._samples = self._sizes.get("S", 1)
        self._channels = self._sizes.get("C", 1)

    def text(self, uuid: str, job: str, names: Sequence[str], planes: Mapping[str, Sequence[float]]) -> str:
        """The text.

        Args:
            uuid: Identity of the file.
            job: Settings and report, kept as an annotation.
            names: One name per channel, or empty.
            planes: Values per plane in the order of the stored leading axes, by key.
        """
        root, image = self._image_of_input()
        root.set("UUID", f"urn:uuid:{uuid}")
        root.set("Creator", "napari-rdpdenoise")
        if self._known.name:
            image.set("Name", _allowed(self._known.name))
        old = image.find(_tag("Pixels"))
        pixels = self._pixels(old)
        if old is not None:
            image.remove(old)
        image.append(pixels)
        for channel in self._channel_elements(old, names):
            pixels.append(channel)
        count = math.prod(size for axis, size in self._sizes.items() if axis not in "YXS")
        ElementTree.SubElement(pixels, _tag("TiffData"), IFD="0", PlaneCount=str(count))
        for plane in self._plane_elements(planes):
            pixels.append(plane)
        self._annotate(root, image, job)
        image[:] = sorted(image, key=lambda element: _place_of(element, _IMAGE_ORDER))
        ElementTree.register_namespace("", _NAMESPACE)
        return '<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, "unicode")

    def _image_of_input(self) -> tuple[Element, Element]:
        """Root and image of the input's text without what is not true of the result; new ones without it."""
        root = ome_root(self._known.texts.get("ome", ""))
        if root is None or not root.tag.endswith("}OME"):
            root = Element(_tag("OME"), {f"{{{_XSI}}}schemaLocation": _SCHEMA})
            return root, ElementTree.SubElement(root, _tag("Image"), ID="Image:0")
        root = _in_namespace(copy.deepcopy(root))
        images = root.findall(_tag("Image"))
        place = self._known.number if self._known.number < len(images) else 0
        image = images[place] if images else Element(_tag("Image"), ID="Image:0")
        for child in list(root):
            if any(child.tag == _tag(name) for name in _DROPPED):
                root.remove(child)
        for child in list(image):
            if child.tag in (_tag("ROIRef"), _tag("MicrobeamManipulationRef")):
                image.remove(child)
        late = (_tag("StructuredAnnotations"),)
        before = next((k for k, child in enumerate(root) if child.tag in late), len(root))
        root.insert(before, image)
        return root, image

    def _pixels(self, old: Element | None) -> Element:
        pixels = Element(_tag("Pixels"), ID="Pixels:0" if old is None else old.get("ID", "Pixels:0"))
        order = "XY" + "".join(reversed([axis for axis in self._axes if axis in "TCZ"]))
        pixels.set("DimensionOrder", order + "".join(axis for axis in "CZT" if axis not in order))
        pixels.set("Type", _TYPES.get(self._dtype.name, self._dtype.name))
        for axis in "XYZT":
            pixels.set(f"Size{axis}", str(self._sizes.get(axis, 1)))
        pixels.set("SizeC", str(self._channels * self._samples))
        scale, units = self._known.scale, self._known.units
        for axis in "XYZ":
            if axis in scale:
                pixels.set(f"PhysicalSize{axis}", repr(float(scale[axis])))
                # without a unit OME-XML means micrometres, so say that they are not
                pixels.set(f"PhysicalSize{axis}Unit", unit_symbol(units.get(axis)) or "pixel")
        unit = unit_symbol(units.get("T"))
        if "T" in scale and unit:
            pixels.set("TimeIncrement", repr(float(scale["T"])))
            pixels.set("TimeIncrementUnit", unit)
        return pixels

    def _channel_elements(self, old: Element | None, names: Sequence[str]) -> Iterator[Element]:
        before = [] if old is None else old.findall(_tag("Channel"))
        source = self._known.channel_numbers or tuple(range(self._channels))
        known = self._known.channels if len(self._known.channels) == self._channels else ()
        for number in range(self._channels):
            place = source[number] if number < len(source) else number
            channel = Element(_tag("Channel"))
            if place < len(before) and len(source) == self._channels:
                channel = copy.deepcopy(before[place])
            channel.set("ID", f"Channel:0:{number}")
            channel.set("SamplesPerPixel", str(self._samples))
            if len(names) == self._channels:
                channel.set("Name", _allowed(names[number]))
            if known:
                _describe_channel(channel, known[number])
            yield channel

    def _plane_elements(self, planes: Mapping[str, Sequence[float]]) -> Iterator[Element]:
        leading = [axis for axis in self._axes if axis not in "YXS"]
        if not planes or set(leading) - set("TCZ"):
            return
        for k, index in enumerate(np.ndindex(*(self._sizes[axis] for axis in leading))):
            values = {key: along[k] for key, along in planes.items() if not math.isnan(along[k])}
            if not values:
                continue
            where = dict(zip(leading, index, strict=True))
            plane = Element(_tag("Plane"), {f"The{axis}": str(where.get(axis, 0)) for axis in "ZTC"})
            for key, value in values.items():
                plane.set(key, repr(float(value)))
                plane.set(f"{key}Unit", unit_symbol(PLANE_UNITS.get(key, "micrometer")) or "µm")
            yield plane

    def _annotate(self, root: Element, image: Element, job: str) -> None:
        """Keep settings, and texts of other formats, as annotations."""
        texts = {f"{OURS}job": job} if job else {}
        texts |= {f"{OURS}{name}": text for name, text in self._known.texts.items() if name != "ome"}
        shown = [(channel.window, channel.limits) for channel in self._known.channels]
        if any(any(pair) for pair in shown):
            texts[f"{OURS}{WINDOWS}"] = json.dumps(shown)
        if not texts:
            return
        inside = root.find(_tag("StructuredAnnotations"))
        if inside is None:
            inside = ElementTree.SubElement(root, _tag("StructuredAnnotations"))
        said = image.find(_tag("Description"))
        for old in list(inside):  # of a result that is denoised again
            value = old.find(_tag("Value"))
            if said is not None and value is not None and said.text == value.text:
                image.remove(said)
                said = None
            if (old.get("Namespace") or "") in texts:
                inside.remove(old)
                for ref in image.findall(_tag("AnnotationRef")):
                    if ref.get("ID") == old.get("ID"):
                        image.remove(ref)
        if said is None and job:
            ElementTree.SubElement(image, _tag("Description")).text = _allowed(job)
        for name, text in texts.items():
            identity = f"Annotation:{name}"
            entry = ElementTree.SubElement(inside, _tag("CommentAnnotation"), ID=identity, Namespace=name)
            ElementTree.SubElement(entry, _tag("Value")).text = _allowed(text)
            ElementTree.SubElement(image, _tag("AnnotationRef"), ID=identity)


def _describe_channel(element: Element, known: Channel) -> None:
    if known.color:
        value = (int(known.color, 16) << 8) | 0xFF
        element.set("Color", str(value - 2**32 if value >= 2**31 else value))
    for key, length in (("ExcitationWavelength", known.excitation), ("EmissionWavelength", known.emission)):
        if length is not None and element.get(key) is None:
            element.set(key, repr(float(length)))
            element.set(f"{key}Unit", "nm")


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _in_namespace(root: Element) -> Element:
    """The same in the namespace of the newest schema, which older texts are not in."""
    for element in root.iter():
        if isinstance(element.tag, str) and "openmicroscopy.org" in element.tag:
            element.tag = _tag(element.tag.rsplit("}", 1)[-1])
    location = f"{{{_XSI}}}schemaLocation"
    if location in root.attrib:
        root.set(location, _SCHEMA)
    return root


def _place_of(element: Element, order: Sequence[str]) -> int:
    name = element.tag.rsplit("}", 1)[-1]
    return order.index(name) if name in order else len(order)


def _allowed(text: str) -> str:
    """The text without the control characters that XML cannot hold."""
    return re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
