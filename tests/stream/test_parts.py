"""A job in parts: every tile belongs to one part, and what parts tell together is what one run tells."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.codec.choice import RateChoice
from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.fill_values import FillValue
from napari_rdpdenoise.noise.invalid import InvalidRule
from napari_rdpdenoise.noise.outlier_limit import OutlierLimit
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.parts import Asked, Part, PartReport, SharedPlan, as_words, together
from napari_rdpdenoise.stream.plan import ChannelPlan, Work
from napari_rdpdenoise.stream.report import Counts
from napari_rdpdenoise.tiles import plan_tiles

TILES = plan_tiles((200, 130), 64, 64)
counts = st.builds(
    Counts,
    st.floats(0, 1e9),
    st.integers(0, 10**9),
    *(st.integers(0, most) for most in (9, 9, 1, 9)),
)


def works(planes):
    return [Work((t,), tile, 0) for t in range(planes) for tile in TILES]


@given(st.integers(1, 7), st.integers(1, 30), st.integers(1, 4))
def test_each_work_and_each_shard_belongs_to_one_part(planes, parts, together):
    def shard_of(work):
        return work.index[0] // together, work.tile.y0, work.tile.x0

    every = works(planes)
    shares = [Part(k + 1, parts).share(every, shard_of) for k in range(parts)]
    assert sorted(map(repr, sum(shares, ()))) == sorted(map(repr, every))
    for share in shares:
        assert list(share) == [work for work in every if work in set(share)], "the order of the whole"
    owners = defaultdict(set)
    for number, share in enumerate(shares):
        for work in share:
            owners[shard_of(work)].add(number)
    assert all(len(owner) == 1 for owner in owners.values())
    shards = [len({shard_of(work) for work in share}) for share in shares]
    assert max(shards) - min(shards) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0"])
def test_a_part_that_there_is_not_is_refused(text):
    with pytest.raises(ValueError, match=rf"part: expected a number from 1 .* found {text}; .* 2/4"):
        Part.parse(text)


@pytest.mark.parametrize("text", ["", "2", "a/4", "1.5/4", "-1/4", "1/4/5", " 1/4"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ValueError, match=r"part: expected NUMBER/PARTS, found .*; give for example 2/4"):
        Part.parse(text)


def asked(**changes):
    settings = RunSettings(**{"rate": 0.4, **changes.pop("settings", {})})
    version = changes.pop("version", "1")
    given = {"image": "image", "model": "model", "parts": 4, **changes}
    return replace(Asked.of(settings, **given), version=version)


def test_a_plan_is_the_same_after_it_was_written():
    noise = NoiseModel(1 / 3, 0.1 + 0.2, math.pi, ("a note",), 0.25)
    rule = InvalidRule((FillValue(-1e30, True), FillValue(0.0)), noise, OutlierLimit(math.inf, 7), 4095.0)
    choice = RateChoice(1 / 7, 0.3, 1.0, 0.9, ((0.0, 1.2, 0.1), (1.0, 0.9, 2.5)), "a message", True, 1e-17)
    channels = {
        0: ChannelPlan(Normalization(noise, 2 / 3, 1.0), 1 / 7, choice, True, "T", rule, "keep"),
        3: ChannelPlan(Normalization(NoiseModel(0.0, 0.0, 1.0), 0.0, 0.5), 0.25, None),
    }
    plan = SharedPlan(asked(settings={"camera": (1 / 3, 0.0, 0.1)}), "bfloat16", channels, ("Ä", "b"))
    again = SharedPlan.from_text(plan.to_text(), "here")
    assert again == plan
    assert again.channels[0].normalization.noise.notes == ("a note",)
    assert again.channels[0].normalization.noise.doubt == 0.25
    assert again.to_text() == plan.to_text()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"format": 1}', '{"format": 2}', '{"format": 1, "asked": 3']
)
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(ValueError, match=r"part: expected the plan of a job in here, found another .*remove"):
        SharedPlan.from_text(text, "here")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": {"rate": 0.5}}, "rate 0.4 there, 0.5 here"),
        ({"settings": {"seed": 3, "tile": 128}}, "seed 0 there, 3 here; tile 1536 there, 128 here"),
        ({"image": "other"}, "another image, or one that has changed"),
        ({"model": "other"}, "a model with other weights"),
        ({"parts": 8}, "4 parts there, 8 here"),
        ({"version": "2"}, "version 1 there, 2 here"),
    ],
)
def test_another_job_is_refused_in_words(change, words):
    asked().check(asked(), "a.partial")
    asked().check(asked(settings={"batch": 3, "overwrite": True, "device": "cpu"}), "a.partial")
    with pytest.raises(
        ValueError, match=r"part: expected the job .* in a.partial, found .* begin anew"
    ) as error:
        asked().check(asked(**change), "a.partial")
    assert words in str(error.value)


@given(st.lists(counts, max_size=30), st.integers(0, 2**30))
def test_counts_are_the_same_in_any_order(tiles, seed):
    mixed = random.Random(seed).sample(tiles, len(tiles))
    middle = len(tiles) // 2
    expected = sum(tiles, Counts())
    assert sum(mixed, Counts()) == expected
    assert sum(mixed[:middle], Counts()) + sum(mixed[middle:], Counts()) == expected


@given(counts)
def test_counts_go_through_a_word(one):
    assert Counts.from_word(one.word) == one
    assert " " not in one.word
    for nothing in ("", "1", "a,b", "1.0,2,3,4,5", "1.0,2,3,4,5,6,7"):
        assert Counts.from_word(nothing) == Counts()


def test_parts_tell_together_what_one_run_tells():
    parts = [
        PartReport(Counts(8.0 * k, 10, k, 1, 0), 5, 4_000_000, 2, 10.0, 2.0, ("less memory",))
        for k in range(3)
    ]
    parts = [PartReport.from_text(part.to_text()) for part in parts]
    channel = ChannelPlan(Normalization(NoiseModel(1.0, 0.0, 1.0), 0.0, 1.0), 0.4, None)
    report = together(parts).report(SharedPlan(asked(), "float32", {0: channel}, ("first",)), "replace")
    assert (report.bpp, report.clipped, report.tiles) == (24 / 30, 3, 15)
    assert (report.cache_hits, report.encoder_calls, report.seconds, report.mpps) == (0, 6, 30.0, 2.0)
    assert report.messages[:2] == ("first", "less memory")
    assert report.messages[2].startswith("3 hot or cold pixels")
    assert len(report.messages) == 3
    assert report.rate == 0.4
    assert np.isnan(together([]).report(SharedPlan(asked(), "float32", {0: channel}, ()), "keep").bpp)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([3], "3"), ([1, 2], "1 and 2"), ([1, 2, 3, 7], "1-3 and 7"), ([1, 3, 5], "1, 3 and 5")],
)
def test_numbers_in_words(numbers, words):
    assert as_words(numbers) == words
    assert len(as_words(range(1, 10**5, 2))) < 100
