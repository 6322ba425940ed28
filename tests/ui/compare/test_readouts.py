from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.metrics import affine_match, lpips, score
from napari_rdpdenoise.metrics.table import METRICS
from napari_rdpdenoise.metrics.trust import texture_share
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.ui.compare.readouts import (
    measure,
    measure_series,
    measured_box,
    path,
)
from napari_rdpdenoise.ui.compare.scores import UNAVAILABLE
from napari_rdpdenoise.ui.preview.shown import Shown

NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)
PLAN = ChannelPlan(Normalization(NOISE, 0.0, 1.0), 0.5, None)
REGION = (slice(10, 70), slice(20, 90))


@pytest.fixture(scope="module")
def scene() -> tuple[Shown, np.ndarray]:
    """A plane of which rows 0 to 95 are done, and its clean image."""
    rng = np.random.default_rng(3)
    smooth = gaussian_filter(rng.normal(size=(128, 120)), 3)
    clean = 100 + 2 * (20 + 60 * np.maximum(smooth, 0) / smooth.max())
    noisy = np.rint(100 + 2 * rng.poisson((clean - 100) / 2) + rng.normal(0, 5, clean.shape))
    fidelity = gaussian_filter(noisy.astype(np.float32), 1)
    realism = (fidelity + rng.normal(0, 4, clean.shape)).astype(np.float32)
    done = np.zeros(clean.shape, bool)
    done[:96] = True
    fidelity[~done] = realism[~done] = np.nan
    shown = Shown("cells", (2,), noisy.astype(np.uint16), fidelity, realism, done, 0.3, PLAN, 0.4)
    return shown, clean


@pytest.fixture
def nowhere(tmp_path):
    """A folder without any network."""
    return tmp_path


def table(readouts):
    return {(readout.name, readout.of): readout.value for readout in readouts}


@pytest.mark.parametrize("region", [None, REGION])
def test_numbers_are_those_of_the_tables_on_the_same_pixels(scene, nowhere, region) -> None:
    shown, clean = scene
    found = table(measure(shown, clean, folder=nowhere, region=region))
    part = region or (slice(0, 96), slice(0, 120))
    images = {
        "noisy": shown.noisy,
        "fidelity": shown.fidelity,
        "realism": shown.realism,
        "result": shown.result,
    }
    for of, image in images.items():
        expected = score(image[part], clean[part], shown.noisy[part])
        assert found["PSNR, dB", of] == pytest.approx(expected.psnr)
        assert found["SSIM", of] == pytest.approx(expected.ssim)
    assert len({found["PSNR, dB", of] for of in images}) == 4


def test_the_scale_of_the_reference_does_not_matter(scene, nowhere) -> None:
    shown, clean = scene
    first, second = (table(measure(shown, c, folder=nowhere)) for c in (clean, 0.01 * clean - 7))
    assert {key for key, value in first.items() if value is not None} >= {("MicroSSIM", "result")}
    for key, value in first.items():
        assert second[key] == (None if value is None else pytest.approx(value, rel=1e-6))


@pytest.mark.parametrize(("alpha", "end"), [(0.0, "fidelity"), (1.0, "realism")])
def test_at_an_end_of_the_slider_the_result_is_that_decode(scene, nowhere, alpha, end) -> None:
    shown, clean = scene
    found = table(measure(replace(shown, alpha=alpha), clean, folder=nowhere))
    assert all(found[metric.name, "result"] == found[metric.name, end] for metric in METRICS)


def test_a_model_without_realism_has_no_such_column(scene, nowhere) -> None:
    shown, clean = scene
    found = table(measure(replace(shown, realism=None), clean, folder=nowhere))
    assert {of for _, of in found} == {"noisy", "fidelity", "result"}


def test_missing_networks_read_unavailable_with_the_reason_and_come_last(scene, nowhere) -> None:
    shown, clean = scene
    readouts = list(measure(shown, clean, folder=nowhere))
    assert [r.name for r in readouts] == [metric.name for metric in METRICS for _ in range(4)]
    for readout in readouts:
        if readout.name in ("LPIPS", "DISTS"):
            assert (readout.value, readout.text) == (None, UNAVAILABLE)
            assert str(nowhere) in readout.why
        else:
            assert readout.value is not None
            assert readout.why == ""


def test_nothing_slow_is_asked_for_before_it_is_wanted(scene, nowhere, monkeypatch) -> None:
    shown, clean = scene
    monkeypatch.setattr("napari_rdpdenoise.metrics.table.microssim", lambda *_: pytest.fail("too early"))
    numbers = measure(shown, clean, folder=nowhere)
    assert [next(numbers).name for _ in range(8)] == ["PSNR, dB"] * 4 + ["SSIM"] * 4
    numbers.close()


def test_a_network_that_would_fill_the_memory_is_not_run(scene, nowhere, monkeypatch) -> None:
    shown, clean = scene
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000))
    found = {r.name: r for r in measure(shown, clean, folder=nowhere)}
    assert "choose a region of at most 8 x 8 px" in found["LPIPS"].why
    assert "choose a region of at most 2 x 2 px" in found["DISTS"].why
    assert found["SSIM"].value is not None


def test_what_cannot_be_said_yet_says_why(scene, nowhere) -> None:
    shown, clean = scene
    nothing = replace(shown, done=np.zeros_like(shown.done))
    below = slice(100, 120), slice(0, 50)
    for readouts in (
        measure(nothing, clean, folder=nowhere),
        measure(shown, clean, folder=None, region=below),
    ):
        (readout,) = readouts
        assert readout.text == UNAVAILABLE
        assert "wait for the preview" in readout.why
    assert measured_box(shown, below) is None


def test_references_that_do_not_fit_are_refused(scene, nowhere) -> None:
    shown, clean = scene
    with pytest.raises(
        ValueError, match=r"reference: expected .* noisy one, \(128, 120\), found \(128, 119\)"
    ):
        list(measure(shown, clean[:, 1:], folder=nowhere))
    holed = clean.copy()
    holed[5, 6:9] = np.nan
    with pytest.raises(ValueError, match="reference: expected numbers throughout, found 3 pixels"):
        list(measure(shown, holed, folder=nowhere))
    assert list(measure(shown, holed, folder=nowhere, region=(slice(10, 60), slice(0, 60))))


def test_a_series_gives_every_plane_and_the_mean(scene, nowhere) -> None:
    shown, clean = scene
    noisy, clean = shown.noisy[:96], clean[:96]
    results = [gaussian_filter(noisy.astype(np.float32), sigma) for sigma in (0.5, 1, 3)]
    planes = [((n,), result, clean, noisy) for n, result in enumerate(results)]
    *rows, mean = measure_series(planes, folder=nowhere)
    assert [row.index for row in rows] == [(0,), (1,), (2,)]
    for row, result in zip(rows, results, strict=True):
        assert row.readouts[0].value == pytest.approx(score(result, clean, noisy).psnr)
    assert mean.index is None
    values = {r.name: r.value for r in mean.readouts}
    assert values["PSNR, dB"] == pytest.approx(np.mean([row.readouts[0].value for row in rows]))
    assert values["LPIPS"] is None
    assert "3 of 3 planes" in mean.readouts[-1].why


def test_a_series_without_the_noisy_stack_takes_the_results_scale(scene, nowhere) -> None:
    shown, clean = scene
    row, _ = measure_series([((), shown.fidelity[:96], clean[:96])], folder=nowhere)
    expected = score(shown.fidelity[:96], clean[:96], shown.fidelity[:96])
    assert row.readouts[0].value == pytest.approx(expected.psnr)


def test_a_series_stops_between_planes_and_refuses_nothing_or_other_shapes(scene, nowhere) -> None:
    shown, clean = scene

    def planes():
        yield (0,), shown.noisy, clean
        pytest.fail("asked for a plane that nobody waits for")

    rows = measure_series(planes(), folder=nowhere)
    next(rows)
    rows.close()
    with pytest.raises(ValueError, match="expected at least one plane"):
        list(measure_series([], folder=nowhere))
    with pytest.raises(ValueError, match=r"found \(127, 120\) at plane \(4,\)"):
        list(measure_series([((4,), shown.noisy, clean[1:])], folder=nowhere))


def test_the_path_without_a_reference_is_the_texture_that_is_added(scene) -> None:
    shown, _ = scene
    (found,) = path(shown, None, None, steps=3)
    share = texture_share(shown.fidelity, shown.realism, NOISE)
    assert [(p.alpha, p.x) for p in found.points] == [(0, 0), (0.5, 0.5), (1, 1)]
    assert [p.y for p in found.points] == pytest.approx([0, share / 2, share], rel=1e-6)
    assert "Without a clean image" in found.note


def test_the_path_grows_from_fidelity_to_realism(scene, nowhere) -> None:
    shown, clean = scene
    paths = list(path(shown, clean, nowhere))
    assert [len(p.points) for p in paths] == [1, 2, 3, 4, 5]
    numbers = table(measure(shown, clean, folder=nowhere))
    first, *_, last = paths[-1].points
    assert first.y == pytest.approx(numbers["PSNR, dB", "fidelity"])
    assert last.y == pytest.approx(numbers["PSNR, dB", "realism"], rel=1e-4)
    assert last.x == pytest.approx(texture_share(shown.fidelity, shown.realism, NOISE), rel=1e-6)
    assert "LPIPS is unavailable" in paths[-1].note


def test_the_path_takes_lpips_where_it_can(scene, data_folder) -> None:
    folder = data_folder / "weights"
    if not folder.is_dir():
        pytest.skip(f"no networks at {folder}")
    shown, clean = scene
    *_, found = path(shown, clean, folder, steps=2)
    matched = affine_match(clean[:96], shown.noisy[:96])
    ends = [lpips(image[:96], matched, folder=folder) for image in (shown.fidelity, shown.realism)]
    assert [p.x for p in found.points] == pytest.approx(ends, rel=1e-4)
    assert found.note == ""


def test_where_nothing_is_traded_the_path_is_empty_and_says_so(scene) -> None:
    shown, clean = scene
    (found,) = path(replace(shown, realism=None), clean, None)
    assert found.points == ()
    assert "no realism decoder" in found.note
    (found,) = path(replace(shown, plan=None), None, None)
    assert found.points == ()
    assert "noise" in found.note
    with pytest.raises(ValueError, match="steps: expected at least 2"):
        list(path(shown, clean, None, steps=1))
