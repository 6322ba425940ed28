"""The networks that LPIPS and DISTS need: what is missing, and fetching it with consent. No Qt here."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from napari_rdpdenoise.files import backbones_folder
from napari_rdpdenoise.metrics.backbones import BACKBONES, fetch_backbone, load_backbone
from napari_rdpdenoise.metrics.errors import MetricUnavailable

__all__ = ["LICENCE", "Fetched", "Trunk", "consent_text", "fetch_trunks", "missing_trunks"]

LICENCE = (
    "published by torchvision (code: BSD-3-Clause); its authors say that the terms of the training images, "
    "here ImageNet (non-commercial research and education), may apply to the weights, and that whether you "
    "may use them is for you to judge"
)
_SOURCE = "https://download.pytorch.org/models/"
_BLOCK = 1 << 20  # bytes between two looks at whether to go on
_TIMEOUT = 30  # s without a byte


@dataclass(frozen=True)
class Trunk:
    """One network to fetch: its name in `metrics.backbones`, what for, and the download in MiB."""

    name: str
    metric: str
    mib: int

    @property
    def file(self) -> str:
        """Name of the published file."""
        return BACKBONES[self.name].checkpoint

    @property
    def url(self) -> str:
        """Where it is published."""
        return _SOURCE + self.file


@dataclass(frozen=True)
class Fetched:
    """How far a download is: bytes here and in all; ``total`` is 0 where the server does not say."""

    trunk: Trunk
    done: int
    total: int


_WANTED = (Trunk("alexnet", "LPIPS", 233), Trunk("vgg16", "DISTS", 528))

Opener = Callable[[str], Any]  # a context manager of a binary file with `headers`, as urlopen gives


def missing_trunks(folder: Path | None) -> tuple[Trunk, ...]:
    """The networks that are not here, or not the published ones; slow, since it reads what is here.

    Args:
        folder: the only place to look; None looks in the usual places.
    """

    def absent(trunk: Trunk) -> bool:
        try:
            load_backbone(trunk.name, folder)
        except MetricUnavailable:
            return True
        return False

    return tuple(trunk for trunk in _WANTED if absent(trunk))


def consent_text(trunks: tuple[Trunk, ...], folder: Path | None) -> str:
    """What the user is asked to agree to: addresses, sizes, licence, destination."""
    files = "\n".join(f"{trunk.metric}: {trunk.url} ({trunk.mib} MiB)" for trunk in trunks)
    return (
        f"Download {sum(trunk.mib for trunk in trunks)} MiB?\n\n{files}\n\nLicence: {LICENCE}.\n\n"
        f"To: {folder or backbones_folder()}\n\nThe files' SHA-256 is checked. While one is checked it takes "
        "twice its size on disk. If you have them already, name their folder in the preferences instead."
    )


def fetch_trunks(
    trunks: tuple[Trunk, ...], folder: Path | None, opener: Opener | None = None
) -> Iterator[Fetched]:
    """Fetch networks, check that they are the published ones, and keep them; nothing partial is kept.

    Args:
        trunks: what to fetch.
        folder: where to keep them; None is this package's data folder.
        opener: opens an address; None is the network.

    Raises:
        MetricUnavailable: what arrived is not the published file; it is not kept.
        OSError: the file could not be fetched or written.
    """
    target = folder or backbones_folder()
    target.mkdir(parents=True, exist_ok=True)
    for trunk in trunks:
        need, free = 2 * trunk.mib << 20, shutil.disk_usage(target).free
        if free < need:
            raise OSError(
                f"{target}: expected {need >> 20} MiB of free disk for {trunk.file}, found {free >> 20} MiB; "
                "make room or name another folder in the preferences"
            )
        # inside the target, so that a full or read-only disk shows before anything is fetched
        with TemporaryDirectory(prefix=".download-", dir=target) as room:
            yield from _fetch(trunk, Path(room), opener or _open)
            fetch_backbone(trunk.name, target, url=f"{Path(room).resolve().as_uri()}/")


def _fetch(trunk: Trunk, room: Path, opener: Opener) -> Iterator[Fetched]:
    with opener(trunk.url) as source, (room / trunk.file).open("wb") as sink:
        total, done = int(source.headers.get("Content-Length") or 0), 0
        yield Fetched(trunk, done, total)
        while block := source.read(_BLOCK):
            done += sink.write(block)
            yield Fetched(trunk, done, total)


def _open(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=_TIMEOUT)
