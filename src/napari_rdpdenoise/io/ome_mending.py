"""OME-XML as programs really write it: with control characters, a bare ``&``, or bytes after its end.

XML parsers refuse such a text as a whole, and with it sizes, axes and names. What can be meant in one way
only is mended; of anything else `why_unread` says what is wrong with it.
"""

from __future__ import annotations

import re
from xml.parsers import expat

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBERED = re.compile(r"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
_BARE = re.compile(r"&(?!(?:amp|lt|gt|apos|quot|#[0-9]+|#x[0-9a-fA-F]+);)")
_VALUE = re.compile(r'(\s[\w:.-]+\s*=\s*")([^"<>]*<[^"]*)(")')
_ROOT = re.compile(r"<((?:[\w.-]+:)?OME)(?=[\s>])")
_PREFIX = re.compile(r"[<\s/]([A-Za-z_][\w.-]*):[A-Za-z_][\w.-]*(?=[\s=>/])")
_DECLARED = re.compile(rb'^\s*<\?xml[^>]*\bencoding\s*=\s*["\']([\w.:-]+)', re.ASCII)
_FOR_PREFIX = {"xsi": "http://www.w3.org/2001/XMLSchema-instance"}
_OTHERS = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def is_ome(xml: str) -> bool:
    """Whether a text is OME-XML, whole or not: whether that is its first element."""
    return _ROOT.search(xml[:4000]) is not None


def fault_of(xml: str) -> str:
    """Why parsers refuse a text, in their words; empty where they do not."""
    parser = expat.ParserCreate("utf-8", "}")
    try:
        parser.Parse(xml.encode("utf-8", "surrogatepass"), True)
    except (expat.ExpatError, UnicodeError) as error:
        return str(error)
    return ""


def mended(xml: str) -> str:
    """The text so that parsers take it, where it is clear what it means; else as it is.

    Args:
        xml: OME-XML, with or without faults.
    """
    if not fault_of(xml) or "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        return xml
    text = _FORBIDDEN.sub(" ", xml)
    text = text[text.find("<") : text.rfind(">") + 1]
    text = _BARE.sub("&amp;", _NUMBERED.sub(_allowed_number, text))
    text = _VALUE.sub(lambda found: found[1] + found[2].replace("<", "&lt;") + found[3], text)
    root = _ROOT.search(text)
    if root is not None:
        end = text.rfind(f"</{root[1]}>")
        text = text[: end + len(root[1]) + 3] if end > 0 else text
        text = _with_prefixes(text, root)
    return xml if fault_of(text) else text


def decoded(data: bytes) -> str:
    """The text of a file of XML, whatever encoding it declares: UTF-8 and UTF-16 are known by themselves."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    declared = _DECLARED.match(data)
    names = ["utf-8-sig"] + ([declared[1].decode("ascii")] if declared else []) + ["cp1252"]
    for name in names:
        try:
            return data.decode(name)
        except (LookupError, UnicodeError):
            continue
    return data.decode("utf-8", "replace")


def why_unread(xml: str, name: str) -> str:
    """A sentence that says that the OME-XML of a file cannot be read; empty where it can."""
    fault = fault_of(xml)
    if not fault:
        return ""
    return (
        f"{name}: its OME-XML is damaged ({fault}) and was not read: pixel size, channels and all else that "
        "it says are not known, and the axes are those of the pages; export it again, or give --axes"
    )


def _allowed_number(found: re.Match[str]) -> str:
    number = int(found[1], 16) if found[1] else int(found[2])
    allowed = number <= 0x10FFFF and not _FORBIDDEN.match(chr(number))
    return found[0] if allowed else " "


def _with_prefixes(text: str, root: re.Match[str]) -> str:
    """The text with a namespace for every prefix that none declares."""
    used = sorted(set(_PREFIX.findall(text)) - {"xmlns", "xml"})
    missing = [prefix for prefix in used if f"xmlns:{prefix}" not in text]
    added = "".join(f' xmlns:{prefix}="{_FOR_PREFIX.get(prefix, _OTHERS)}"' for prefix in missing)
    return text[: root.end()] + added + text[root.end() :]
