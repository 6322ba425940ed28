"""The mask layer of the dock, chosen and painted as a user does."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.display


@pytest.fixture
def desk(make_napari_viewer, qtbot, tiny_realism_codec, monkeypatch):
    """A viewer with a stack, the dock, and a function that waits for the preview and gives a plane of it."""
    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
    viewer, rng = make_napari_viewer(), np.random.default_rng(0)
    data = (100 + 2 * rng.poisson(40, (2, 140, 150))).astype(np.uint16)
    viewer.add_image(data, name="cells", axis_labels=("t", "y", "x"))
    made = DenoiseDock(viewer, None, lambda model: None, lambda model, device: tiny_realism_codec)
    made.session.edit(auto_rate=False, rate=0.4)
    viewer.window.add_dock_widget(made, name="RDP Denoise")

    def settle():
        done = lambda: 0 < made.session.state.requested == made.session.state.shown  # noqa: E731
        qtbot.waitUntil(lambda: done() and not made.session.unsettled, timeout=60_000)
        return np.asarray(made.preview_layer.data[0])

    return viewer, made, settle


def test_what_is_painted_in_the_chosen_labels_layer_stays_as_it_is(desk, qtbot):
    viewer, dock, settle = desk
    noisy = viewer.layers["cells"].data[0]
    labels = viewer.add_labels(np.zeros((140, 150), np.uint8), name="bubbles")
    choice = dock.sections["more"].mask
    assert [choice.itemText(n) for n in range(choice.count())] == ["no mask layer", "bubbles"]
    free = settle()
    place = slice(30, 50), slice(60, 90)
    assert not np.array_equal(free[place], noisy[place])
    choice.setCurrentIndex(1)
    np.testing.assert_allclose(settle(), free, atol=1)
    labels.data[place] = 3
    labels.events.paint(value=[])  # as napari tells at the end of a stroke
    key = dock.session.view.subject.key
    qtbot.waitUntil(lambda: dock.session.view.subject.key != key, timeout=10_000)
    masked = settle()
    np.testing.assert_array_equal(masked[place], noisy[place])
    assert not np.array_equal(masked[80:120], noisy[80:120])
    viewer.layers.remove(labels)
    assert choice.currentIndex() == 0
    np.testing.assert_allclose(settle(), free, atol=1)


def test_a_mask_of_another_shape_is_refused_in_words(desk):
    viewer, dock, settle = desk
    settle()
    viewer.add_labels(np.zeros((40, 150), np.uint8), name="bubbles")
    dock.sections["more"].mask.setCurrentIndex(1)
    assert "expected labels of the shape (2, 140, 150)" in dock.session.state.status
    dock.sections["more"].mask.setCurrentIndex(0)
    settle()
