from __future__ import annotations

import pytest

from napari_rdpdenoise.theory import beside_bound, error_bound, useful_bpp


def test_numbers_are_those_of_the_bound():
    found = beside_bound(0.1, 10_000, 0.3, 1.02)
    assert (found.bpp, found.error, found.noise) == (0.1, 0.3, 1.02)
    assert found.bound == error_bound(1000, 10_000)
    assert found.useful_bpp == useful_bpp()


@pytest.mark.parametrize(
    ("bpp", "error", "words"),
    [(0.1, 0.3, "within that"), (0.1, 0.9, "this result is not"), (0.5, 0.3, "says nothing about denoising")],
)
def test_words_follow_from_the_numbers(bpp, error, words):
    text = beside_bound(bpp, 10**6, error).text
    assert words in text
    assert text.endswith("It is no bound for a network.")


@pytest.mark.parametrize(
    ("arguments", "name"), [((-1, 9, 0.1), "bpp"), ((1, 0, 0.1), "pixels"), ((1, 9, -0.1), "error")]
)
def test_what_is_out_of_range_is_refused_by_name(arguments, name):
    with pytest.raises(ValueError, match=f"{name}: expected .* found"):
        beside_bound(*arguments)
