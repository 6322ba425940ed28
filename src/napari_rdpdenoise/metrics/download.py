"""The networks that LPIPS and DISTS need: what is missing, and fetching it with consent."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_rdpdenoise.files import BACKBONES_VARIABLE, atomic, backbones_folder
from napari_rdpdenoise.metrics.backbones import BACKBONES, SOURCE, check_file, load_backbone
from napari_rdpdenoise.metrics.errors import MetricUnavailable

LICENCE = (
    "published by torchvision (code: BSD-3-Clause); its authors say that the terms of the training images, "
    "here ImageNet (non-commercial research and education), may apply to the weights, and that whether you "
    "may use them is for you to judge"
)
_BLOCK = 1 << 20  # bytes between two looks at whether to go on
_TIMEOUT = 30  # s without a byte


@dataclass(frozen=True)
class Network:
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
        return SOURCE + self.file

    @property
    def large(self) -> bool:
        """Whether it is fetched on request only."""
        return BACKBONES[self.name].large


@dataclass(frozen=True)
class Fetched:
    """How far a download is: bytes here and in all; ``total`` is 0 where the server does not say."""

    network: Network
    done: int
    total: int


NETWORKS = (
    Network("alexnet", "LPIPS", 233),
    Network("squeezenet1_1", "LPIPS over SqueezeNet", 5),
    Network("vgg16", "DISTS", 528),
)

Opener = Callable[[str], Any]  # a context manager of a binary file with `headers`, as urlopen gives


def missing_networks(folder: Path | None, wanted: Sequence[Network] = NETWORKS) -> tuple[Network, ...]:
    """The networks that are not in a folder (None: in none of the usual places), or not the published ones.

    Slow, since it reads what is here.
    """
    missing = []
    for network in wanted:
        try:
            load_backbone(network.name, folder)
        except MetricUnavailable:
            missing.append(network)
    return tuple(missing)


def consent_text(networks: Sequence[Network], folder: Path | None) -> str:
    """What the user is asked to agree to: addresses, sizes, licence, destination."""
    files = "\n".join(f"{network.metric}: {network.url} ({network.mib} MiB)" for network in networks)
    return (
        f"Download {sum(network.mib for network in networks)} MiB?\n\n{files}\n\nLicence: {LICENCE}.\n\n"
        f"To: {folder or backbones_folder()}\n\nThe files' SHA-256 is checked. If you have "
        f"them already, name their folder in the preferences or in {BACKBONES_VARIABLE} instead."
    )


def fetch_networks(
    networks: Sequence[Network], folder: Path | None, opener: Opener | None = None
) -> Iterator[Fetched]:
    """Fetch networks into a folder (None: the user's for them), and keep those that are whole and published.

    Raises:
        MetricUnavailable: What arrived is not the published file; it is not kept.
        OSError: The file could not be fetched or written.
    """
    target = folder or backbones_folder()
    target.mkdir(parents=True, exist_ok=True)
    for network in networks:
        need, free = network.mib << 20, shutil.disk_usage(target).free
        if free < need:
            raise OSError(
                f"{target}: expected {need >> 20} MiB of free disk for {network.file}, found {free >> 20} "
                f"MiB; make room or name another folder, in the preferences or in {BACKBONES_VARIABLE}"
            )
        # inside the target, so that a full or read-only disk shows before anything is fetched
        with atomic(target / network.file) as fresh:
            with (opener or _open)(network.url) as source, fresh.open("wb") as sink:
                total, done = int(source.headers.get("Content-Length") or 0), 0
                yield Fetched(network, done, total)
                while block := source.read(_BLOCK):
                    done += sink.write(block)
                    yield Fetched(network, done, total)
            check_file(fresh, BACKBONES[network.name])


def _open(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=_TIMEOUT)
