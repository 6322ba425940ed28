"""Units as files write them, and their UDUNITS names."""

from __future__ import annotations

_UNITS = {  # the symbol of OME first
    "micrometer": ("µm", "μm", "um", "\\u00b5m", "micron", "microns", "micrometre", "micrometers"),
    "nanometer": ("nm", "nanometre", "nanometers"),
    "millimeter": ("mm", "millimetre", "millimeters"),
    "centimeter": ("cm", "centimetre", "centimeters"),
    "meter": ("m", "metre", "meters"),
    "picometer": ("pm", "picometre"),
    "angstrom": ("Å", "å"),
    "inch": ("in", "inches"),
    "second": ("s", "sec", "secs", "seconds"),
    "millisecond": ("ms", "msec", "milliseconds"),
    "microsecond": ("µs", "μs", "us", "microseconds"),
    "nanosecond": ("ns", "nanoseconds"),
    "minute": ("min", "mins", "minutes"),
    "hour": ("h", "hr", "hours"),
    "day": ("d", "days"),
}
_UNIT_NAMES = {alias: name for name, aliases in _UNITS.items() for alias in (name, *aliases)}


def unit_symbol(name: str | None) -> str | None:
    """Symbol that OME-XML has for a UDUNITS name (``"micrometer"`` gives ``"µm"``); None for other names."""
    return _UNITS[name][0] if name in _UNITS else None


def unit_name(text: str | None) -> str | None:
    """UDUNITS name of a unit as files write it (``"µm"`` gives ``"micrometer"``); None for none or pixels."""
    cleaned = (text or "").strip().rstrip("\0")
    if not cleaned or cleaned.lower() in ("pixel", "pixels", "none", "reference frame", "px"):
        return None
    return _UNIT_NAMES.get(cleaned, _UNIT_NAMES.get(cleaned.lower(), cleaned))
