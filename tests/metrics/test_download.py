from __future__ import annotations

import hashlib
import io

import pytest

from napari_rdpdenoise.metrics import MetricUnavailable, backbones
from napari_rdpdenoise.metrics.backbones import SOURCE, Backbone
from napari_rdpdenoise.metrics.download import (
    LICENCE,
    Network,
    consent_text,
    fetch_networks,
    missing_networks,
)

CONTENT = bytes(range(256)) * 10_000
NETWORK = Network("small", "LPIPS", 3)


class Answer(io.BytesIO):
    """What a server gives, with or without its length."""

    def __init__(self, content=CONTENT, length=True):
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content))} if length else {}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The only network there is: a file of 2.5 MB under the name "small"."""
    known = Backbone("small.pth", hashlib.sha256(CONTENT).hexdigest()[:8], "small.npz", None)
    monkeypatch.setitem(backbones.BACKBONES, "small", known)


def test_what_arrives_is_kept_and_progress_is_told(tmp_path) -> None:
    asked = []
    folder = tmp_path / "a new folder"
    steps = list(fetch_networks((NETWORK,), folder, lambda url: asked.append(url) or Answer()))
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, len(CONTENT), len(CONTENT))
    assert [path.name for path in folder.iterdir()] == ["small.pth"]
    assert (folder / "small.pth").read_bytes() == CONTENT
    assert asked == [NETWORK.url]
    assert list(fetch_networks((NETWORK,), tmp_path, lambda url: Answer(length=False)))[-1].total == 0


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], b"<html>sign in</html>"])
def test_nothing_wrong_is_kept(tmp_path, content) -> None:
    with pytest.raises(MetricUnavailable, match="has SHA-256"):
        list(fetch_networks((NETWORK,), tmp_path, lambda url: Answer(content)))
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_download_leaves_nothing(tmp_path) -> None:
    steps = fetch_networks((NETWORK,), tmp_path, lambda url: Answer())
    next(steps)
    next(steps)
    assert list(tmp_path.iterdir()) != []
    steps.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path) -> None:
    huge = Network("small", "LPIPS", 1 << 40)
    with pytest.raises(OSError, match=r"free disk for small\.pth"):
        list(fetch_networks((huge,), tmp_path, lambda url: pytest.fail("asked")))


def test_consent_names_address_size_licence_and_place(tmp_path) -> None:
    text = consent_text((NETWORK, Network("vgg16", "DISTS", 528)), tmp_path)
    for part in (NETWORK.url, "528 MiB", "531 MiB", LICENCE, str(tmp_path), "SHA-256", "preferences"):
        assert part in text


def test_the_address_is_that_of_the_metrics() -> None:
    assert Network("vgg16", "DISTS", 528).url == SOURCE + "vgg16-397923af.pth"


def test_what_is_missing_is_listed(tmp_path, monkeypatch) -> None:
    everything = [network.metric for network in missing_networks(tmp_path)]
    assert everything == ["LPIPS", "LPIPS over SqueezeNet", "DISTS"]
    present = {"vgg16", "squeezenet1_1"}

    def load(name, folder):
        if name not in present:
            raise MetricUnavailable("not here")

    monkeypatch.setattr("napari_rdpdenoise.metrics.download.load_backbone", load)
    assert [network.name for network in missing_networks(tmp_path)] == ["alexnet"]
    present.add("alexnet")
    assert missing_networks(tmp_path) == ()
