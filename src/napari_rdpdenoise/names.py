"""Names of files as people give them: patterns, brackets and accents in them, and names that cannot be."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from napari_rdpdenoise.files import LOCK_SUFFIX, PARTIAL_SUFFIX, RECORD_SUFFIX, UNFINISHED_SUFFIX

ADDED_IN_PARTS = 41
"""Letters that names of what many processes lay beside a result have more than its own, at most."""

# Beside results; a glob over a folder of results must not take them.
_OURS = (PARTIAL_SUFFIX, LOCK_SUFFIX, UNFINISHED_SUFFIX, RECORD_SUFFIX)
_ADDED = max(len(PARTIAL_SUFFIX), len(LOCK_SUFFIX), len(RECORD_SUFFIX))
_INSIDE = 100  # letters of paths inside an unfinished result
_LONGEST_NAME, _LONGEST_PATH = 255, 4096  # bytes, where the system does not say
_SHOWN = 60  # letters of a name that is too long
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL_BUT_BREAKS = re.compile(_CONTROL.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))
_FILE_ADDRESS = re.compile(r"file://(?:localhost)?(/.*)", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # as paths write it, with one slash of two
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]|[ .]$')


def matching(text: str) -> list[str]:
    """Paths that a path, URL or pattern means, in the order of the numbers in their names.

    What exists as it is written is no pattern, nor are folders of such a name before a pattern:
    ``Exp [A]/*.tif`` finds what lies in ``Exp [A]``. Letters with accents match in either form of Unicode.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If the text is empty.
    """
    check_given(text, "INPUTS")
    text = local(text)
    spellings = dict.fromkeys((text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))))
    for spelling in spellings:
        if exists(spelling):
            return [spelling]
    if not glob.has_magic(text):
        raise FileNotFoundError(f"INPUTS: expected a file or folder, found nothing at {text}; check the path")
    for spelling in spellings:
        for pattern in (_with_literal_folders(spelling), spelling.replace("[", "[[]")):
            # pathlib globs below a folder only, this pattern is the user's, absolute or not
            found = [path for path in glob.glob(pattern, recursive=True) if not path.endswith(_OURS)]  # noqa: PTH207
            if found:
                return sorted(found, key=by_number)
    raise FileNotFoundError(f"INPUTS: expected files that match {text!r}, found none; check the pattern")


def check_given(text: str, what: str) -> None:
    """Refuse an empty name, which would mean the folder where the program was started.

    Args:
        text: Path, URL or pattern.
        what: Parameter that it is of.

    Raises:
        ValueError: If it is empty.
    """
    if not text.strip():
        raise ValueError(
            f"{what}: expected a path, found an empty one (as of a variable of the shell that is not set); "
            "write it out"
        )


def local(text: str) -> str:
    """Path of an address that begins with ``file://``, as file managers give it; any other text as it is."""
    found = _FILE_ADDRESS.match(text)
    if found is None:
        return text
    path = found[1]
    if os.name == "nt":
        path = path.lstrip("/")
    return path if exists(path) else unquote(path)


def exists(text: str) -> bool:
    """Whether a text is a URL, or the path of something."""
    try:
        return "://" in text or Path(text).exists()
    except (OSError, ValueError):  # longer than names may be, or with a null character
        return False


def check_name(text: str) -> None:
    """Refuse a path that cannot be written into records, or that its system cannot have.

    Raises:
        ValueError: If it is not UTF-8, or, on Windows, reserved there.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        shown = text.encode("utf-8", "backslashreplace").decode()
        raise ValueError(
            f"INPUTS, OUT: expected names in UTF-8, found {shown}; rename the file or folder"
        ) from None
    if os.name == "nt" and "://" not in text and is_reserved(text):
        raise ValueError(f"INPUTS, OUT: expected names that Windows can have, found {text}; choose another")


def check_length(text: str, added: int = _ADDED) -> None:
    """Refuse an address, and a path whose name, or one that is laid beside it for a time, is too long.

    Args:
        text: Path of the result.
        added: Letters that such names have more than the result's own, at most.

    Raises:
        ValueError: If it is no path, its drive is not there, or the system cannot have a name, or a path, of
            that length.
    """
    if _ADDRESS.match(text):
        raise ValueError(
            f"OUT: expected a path on a disk, found the address {shown(text[:_SHOWN])}; write the result "
            "here and copy it there"
        )
    path = Path(text).absolute()
    folder = next((parent for parent in path.parents if exists(str(parent))), None)
    if folder is None:
        raise ValueError(
            f"OUT: expected a folder on a drive that is there, found {shown(text[:_SHOWN])}; connect "
            f"{path.anchor}, or choose another"
        )
    longest, whole = (
        _limit(folder, "PC_NAME_MAX", _LONGEST_NAME),
        _limit(folder, "PC_PATH_MAX", _LONGEST_PATH),
    )
    names = [(part, 0) for part in path.parent.relative_to(folder).parts] + [(path.name, added)]
    for name, more in names:
        if (length := _bytes(name)) > longest - more:
            room = f", to which up to {more} are added while it is made" if more else ""
            raise ValueError(
                f"OUT: expected names of up to {longest - more} bytes{room}, found one of {length}: "
                f"{shown(name[:_SHOWN])}...; choose a shorter name"
            )
    if (length := _bytes(str(path))) > whole - added - _INSIDE:
        raise ValueError(
            f"OUT: expected a path of up to {whole - added - _INSIDE} bytes, found one of {length}: "
            f"{shown(str(path)[:_SHOWN])}...; choose a folder that lies less deep"
        )


def _bytes(text: str) -> int:
    return len(os.fsencode(text)) if os.name != "nt" else len(text.encode("utf-16-le")) // 2


def _limit(folder: Path, name: str, otherwise: int) -> int:
    """What a system says of the length of names below a folder."""
    try:
        found = os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):  # Windows does not say
        return otherwise
    return found if found > 0 else otherwise


def shown(text: str, breaks: bool = True) -> str:
    """A name as messages and tables have it: control characters, which break lines or colour them, escaped.

    Args:
        text: Name, or a line with names in it.
        breaks: Whether line breaks and tabs are escaped as well.
    """
    return (_CONTROL if breaks else _CONTROL_BUT_BREAKS).sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def is_reserved(text: str) -> bool:
    """Whether a part of a path is a name that Windows keeps for devices, or has letters it does not allow."""
    parts = re.split(r"[\\/]", re.sub(r"^[A-Za-z]:(?=[\\/])", "", text))
    return any(
        _RESERVED.match(part) or _FORBIDDEN.search(part) for part in parts if part not in ("", ".", "..")
    )


def _with_literal_folders(pattern: str) -> str:
    """The pattern with its parts escaped that exist as they are written, up to the first that does not."""
    parts = Path(pattern).parts
    literal = Path()
    for number, part in enumerate(parts):
        if glob.has_magic(part) and not exists(str(literal / part)):
            return str(Path(glob.escape(str(literal)), *parts[number:]))
        literal /= part
    return glob.escape(pattern)


def by_number(path: str) -> list[tuple[int, str]]:
    """Key under which ``t2.tif`` comes before ``t10.tif``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]
