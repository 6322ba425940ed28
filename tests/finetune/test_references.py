from __future__ import annotations

import numpy as np
import pytest
import tifffile
from simulated_cells import camera, cells

from napari_rdpdenoise.finetune.images import take_planes
from napari_rdpdenoise.finetune.references import ReferenceCrops, check_references

SQUARE = (160, 160)


@pytest.fixture(scope="module")
def noisy():
    return take_planes([camera(cells(k, SQUARE), 0.01, k) for k in range(3)], "noisy")


def test_clean_images_of_the_same_kind_are_taken(noisy):
    references = take_planes([camera(cells(k, SQUARE), 1.0, k) for k in (7, 8)], "references")
    report = check_references(references, noisy, 96)
    assert report.usable == (0, 1)
    assert report.refused == ()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (camera(cells(7, SQUARE), 0.01, 7), "not clean enough"),
        (np.full((160, 160), 300, np.uint16), "flat"),
        (np.minimum(camera(cells(7, SQUARE), 1.0, 7), 400), "saturated"),
        (camera(cells(7, (480, 480), 24.0), 1.0, 7)[:400, :400], "blurred or of higher magnification"),
        (camera(cells(7, (80, 80)), 1.0, 7), "smaller than the crops of 96"),
    ],
)
def test_useless_references_are_refused_with_the_reason(noisy, image, words):
    with pytest.raises(ValueError, match=f"references: .*{words}"):
        check_references(take_planes(image, "references"), noisy, 96)


def test_the_noisy_images_are_no_references(noisy):
    with pytest.raises(ValueError, match="one of the noisy images"):
        check_references(take_planes(noisy.planes[1], "references"), noisy, 96)


def test_the_good_among_the_bad_are_used_and_the_others_named(noisy):
    mixed = [camera(cells(7, SQUARE), 1.0, 7), camera(cells(8, SQUARE), 0.01, 8)]
    report = check_references(take_planes(mixed, "references"), noisy, 96)
    assert report.usable == (0,)
    assert "references[1]" in report.refused[0]


def test_opposite_contrast_is_remarked(noisy):
    inverted = camera(3200 - cells(7, SQUARE), 2.0, 7)
    report = check_references(take_planes(inverted, "references"), noisy, 96)
    assert any("opposite contrast" in words for words in report.remarks)


def test_crops_are_displayed_and_the_same_for_the_same_step():
    crops = ReferenceCrops([cells(1, SQUARE), cells(2, SQUARE)], 64, seed=3)
    first = crops.draw(5, 3)
    assert first.shape == (3, 1, 64, 64)
    assert first.dtype == np.float32
    assert 0 <= first.min() < 0.2
    assert 0.5 < first.max() <= 1
    np.testing.assert_array_equal(first, crops.draw(5, 3))
    assert not np.array_equal(first, crops.draw(6, 3))


def test_planes_from_arrays_files_and_folders_are_the_same(tmp_path):
    stack = np.stack([camera(cells(k, SQUARE), 1.0, k) for k in range(3)])
    (tmp_path / "many").mkdir()
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    for k, plane in enumerate(stack):
        tifffile.imwrite(tmp_path / "many" / f"{k}.tif", plane)
    wanted = take_planes(stack, "noisy").fingerprints()
    for given in (list(stack), tmp_path / "stack.tif", str(tmp_path / "many"), stack[:, None]):
        assert take_planes(given, "noisy").fingerprints() == wanted
    assert take_planes(tmp_path / "stack.tif", "noisy").names[2] == "stack.tif [2]"


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        ([], ValueError, "at least one image"),
        (np.zeros((30, 200)), ValueError, "at least 64 px"),
        (np.zeros((64, 64), complex), TypeError, "complex"),
        (np.full((64, 64), np.nan), ValueError, "finite"),
        ("/nowhere/at/all.tif", FileNotFoundError, "nothing"),
    ],
)
def test_what_is_no_image_is_refused(images, error, words):
    with pytest.raises(error, match=words):
        take_planes(images, "noisy")


def test_channels_are_not_mixed(tmp_path):
    stack = np.stack([camera(cells(k, SQUARE), 1.0, k) for k in range(2)])
    tifffile.imwrite(tmp_path / "two.ome.tif", stack, metadata={"axes": "CYX"}, ome=True)
    with pytest.raises(ValueError, match="one channel"):
        take_planes(tmp_path / "two.ome.tif", "noisy")
