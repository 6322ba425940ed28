"""What was found is known by series and channel; a search of the rate outlives a rate of one's own."""

from __future__ import annotations

from types import SimpleNamespace

from napari_rdpdenoise.ui.preview.found import Found


def told(of, channel, choice=None):
    return SimpleNamespace(series=of, channel=channel, plan=SimpleNamespace(choice=choice))


class Key(tuple):
    """Layer and rate, as a key of a series has them."""

    __slots__ = ()

    @property
    def layer(self):
        return self[0]

    @property
    def automatic(self):
        return Key((self[0], "auto"))


def test_each_channel_of_each_series_has_its_own():
    found, cells, own = Found(), Key(("cells", "auto")), Key(("cells", 0.4))
    searched, given, other = told(cells, 0, "search"), told(own, 0), told(cells, 1)
    for event in (searched, given, other):
        found.take(event)
    assert found.of(cells, 0) is searched
    assert found.of(own, 0) is given
    assert found.of(cells, 1) is other
    assert found.of(own, 1) is None
    assert found.choice(own, 0) == found.choice(cells, 0) == "search"
    assert found.choice(cells, 1) is None


def test_a_layer_is_forgotten_and_no_other():
    found, cells, nuclei = Found(), Key(("cells", "auto")), Key(("nuclei", "auto"))
    for key in (cells, nuclei):
        found.take(told(key, 0))
    found.forget("cells")
    assert found.of(cells, 0) is None
    assert found.of(nuclei, 0) is not None
