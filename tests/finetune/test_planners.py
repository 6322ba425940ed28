"""Plans of runs: what is judged has no part in what is learned; what is refused, and what is said before."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from simulated_cells import camera, cells

from napari_rdpdenoise.finetune import planners
from napari_rdpdenoise.finetune.planners import plan_pairs, plan_unpaired, plan_zeroshot
from napari_rdpdenoise.finetune.settings import PairsSettings, UnpairedSettings, ZeroShotSettings
from napari_rdpdenoise.finetune.simulated import SimulatedSource

QUICK = {"steps": 2, "batch": 1, "crop": 64, "rate": 0.8}


@pytest.fixture(scope="module")
def noisy():
    return np.stack([camera(cells(k), 0.01, k) for k in range(6)])


@pytest.fixture(scope="module")
def partners():
    return np.stack([camera(cells(k), 1.0, 20 + k) for k in range(6)])


@pytest.fixture(scope="module")
def clean():
    return np.stack([camera(cells(k), 1.0, k) for k in (7, 8, 9)])


def plan(kind, model, noisy, others=None, **changes):
    given = {"model": str(model), **QUICK, **changes}
    if kind == "zeroshot":
        return plan_zeroshot(noisy, ZeroShotSettings(**given))
    if kind == "pairs":
        return plan_pairs(noisy, others, PairsSettings(**given))
    return plan_unpaired(noisy, others, UnpairedSettings(**given))


@pytest.mark.filterwarnings("ignore:.*noise")
@pytest.mark.parametrize("kind", ["zeroshot", "unpaired", "pairs"])
def test_colours_of_a_picture_start_from_its_model(
    tiny_model, noisy, partners, clean, tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(planners, "for_images", lambda settings, images: settings.model_copy(
        update={"model": str(tiny_model)} if images.of_pictures else {}
    ))  # fmt: skip
    for name, planes in (("a", noisy[:3]), ("b", noisy[3:])):
        tifffile.imwrite(tmp_path / f"{name}.tif", planes, photometric="rgb", planarconfig="separate")
    made = plan(kind, "default", tmp_path, list(partners) if kind == "pairs" else clean)
    assert made.settings.model == str(tiny_model)
    assert made.train.start_from == str((tiny_model / "model.safetensors").resolve())


@pytest.mark.parametrize("kind", ["zeroshot", "unpaired", "pairs"])
def test_constant_noisy_images_are_refused_in_words(tiny_model, noisy, partners, kind):
    flat = noisy.copy()
    flat[2] = 117
    with pytest.raises(ValueError, match=r"noisy: .*one value 117 everywhere in noisy plane 2; leave"):
        plan(kind, tiny_model, flat, partners)


def test_zeroshot_refuses_noise_that_neighbours_share(tiny_model):
    """It would learn to keep that noise, and the verdict, which believes the noise white, would praise it."""
    scene = np.full((256, 256), 1500.0)
    blurred = ndimage.gaussian_filter(camera(scene, 0.01, 0).astype(float), 0.7).round().astype(np.uint16)
    with pytest.raises(ValueError, match=r"noisy: .*neighbouring pixels share their noise"):
        plan("zeroshot", tiny_model, blurred)


@pytest.mark.parametrize(("learns", "said"), [("decoder", False), ("gains", True), ("all", True)])
def test_zeroshot_says_when_the_realism_decoder_is_left_out(
    tiny_realism_model, tiny_model, noisy, learns, said
):
    for model, expected in ((tiny_realism_model, said), (tiny_model, False)):
        remarks = plan("zeroshot", model, noisy, learns=learns).remarks
        assert any("realism decoder is left out" in words for words in remarks) == expected


def test_pairs_say_when_the_realism_decoder_is_left_out(tiny_realism_model, tiny_model, noisy, partners):
    for model, expected in ((tiny_realism_model, True), (tiny_model, False)):
        remarks = plan("pairs", model, noisy, partners, realism_steps=0).remarks
        assert any("realism_steps is 0" in words for words in remarks) == expected


@pytest.fixture
def sources(monkeypatch, tiny_model, noisy, clean):
    """References and pairs of both simulations: of what is learned, and of what is judged."""
    made = []

    def spy(settings, references, pairs):
        made.append((references, pairs))
        return SimulatedSource(settings, references, pairs)

    monkeypatch.setattr(planners, "SimulatedSource", spy)
    monkeypatch.setattr(planners, "load_lpips", lambda *_a: None)
    monkeypatch.setattr(
        "napari_rdpdenoise.finetune.simulated.lpips", lambda a, b: float(np.abs(a - b).mean())
    )
    plan("unpaired", tiny_model, noisy, clean)
    return made


def test_judged_exposures_have_nothing_of_what_is_learned(sources, noisy, clean):
    """Neither their references nor their noise and brightness."""
    (references, pairs), (unseen, judged) = sources
    assert len(sources) == 2
    for mine, other, whole in (
        (references, unseen, clean),
        ([p.noisy for p in pairs], [p.noisy for p in judged], noisy),
    ):
        assert len(mine) == len(other) == len(whole)  # a stack: rows of each
        for first, second, plane in zip(mine, other, whole, strict=True):
            assert len(first) + len(second) < len(plane)
            np.testing.assert_array_equal(first, plane[: len(first)])
            np.testing.assert_array_equal(second, plane[-len(second) :])
