"""Units as files write them, and their UDUNITS names."""

from __future__ import annotations

import math

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


_FACTORS = {  # in meters or seconds
    "micrometer": 1e-6, "nanometer": 1e-9, "millimeter": 1e-3, "centimeter": 1e-2, "meter": 1.0,
    "picometer": 1e-12, "angstrom": 1e-10, "inch": 0.0254, "second": 1.0, "millisecond": 1e-3,
    "microsecond": 1e-6, "nanosecond": 1e-9, "minute": 60.0, "hour": 3600.0, "day": 86400.0,
}  # fmt: skip


def in_unit(value: object, unit: str | None, target: str) -> float | None:
    """A number of some unit, as files write it, in the UDUNITS unit ``target``; None for anything else.

    Both are units of length or both of time.
    """
    name = unit_name(unit)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if name == target:
        return number if math.isfinite(number) else None
    if name not in _FACTORS or not math.isfinite(number):
        return None
    return number * _FACTORS[name] / _FACTORS[target]
