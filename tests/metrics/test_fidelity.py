from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar

from napari_rdpdenoise.metrics import (
    MetricUnavailable,
    affine_match,
    data_range,
    microssim,
    noise_distance,
    psnr,
    score,
    ssim,
)
from napari_rdpdenoise.noise import NoiseModel

FIELDS = ("Confocal_FISH_1", "TwoPhoton_MICE_2", "WideField_BPAE_B_3")


def blobs(seed: int = 0, shape: tuple[int, ...] = (48, 56)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=shape), (0,) * (len(shape) - 2) + (3, 3))
    return 300 + 2000 * np.maximum(smooth, 0) / smooth.max()


def noisy_of(clean: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).poisson(clean / 20) * 20.0


@pytest.fixture(scope="module")
def tool(data_folder: Path) -> ModuleType:
    """The scoring script that every published table of the project comes from."""
    path = data_folder / "tools" / "score.py"
    if not path.is_file():
        pytest.skip(f"no scoring script at {path}")
    spec = importlib.util.spec_from_file_location("score_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FIELDS)
def test_score_agrees_with_the_published_protocol(name: str, tool: ModuleType, data_folder: Path) -> None:
    test = data_folder / "data" / "test" / "fmd"
    noisy, clean = (tool.io.imread(str(test / kind / f"{name}.png")) for kind in ("raw", "gt"))
    out = gaussian_filter(noisy.astype(np.float64), 1.0)
    theirs = tool.score(noisy.astype(np.float64), clean.astype(np.float64), out)
    ours = score(out, clean, noisy)
    assert ours.psnr == pytest.approx(theirs["psnr"], abs=1e-9)
    assert ours.ssim == pytest.approx(theirs["ssim"], abs=1e-9)
    assert ours.mean_bias_pct == pytest.approx(theirs["mean_bias_pct"], abs=1e-9)


def test_score_agrees_on_16_bit(tool: ModuleType) -> None:
    clean = blobs()
    noisy = noisy_of(clean).astype(np.uint16)
    out = gaussian_filter(noisy.astype(np.float64), 1.5)
    theirs = tool.score(noisy.astype(np.float64), 0.3 * clean - 20, out, bits16=True)
    ours = score(out, 0.3 * clean - 20, noisy)
    assert ours.psnr == pytest.approx(theirs["psnr"], abs=1e-9)
    assert ours.ssim == pytest.approx(theirs["ssim"], abs=1e-9)


def test_ssim_agrees_with_scikit_image() -> None:
    from skimage.metrics import structural_similarity

    clean = blobs()
    noisy = noisy_of(clean)
    expected = structural_similarity(
        noisy, clean, data_range=2300.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(noisy, clean, 2300.0) == pytest.approx(expected, abs=1e-12)


def test_psnr_known_value() -> None:
    reference = np.zeros((4, 4))
    assert psnr(reference + 25.5, reference, 255.0) == pytest.approx(20.0)
    assert psnr(reference, reference, 255.0) == float("inf")


@settings(max_examples=30, deadline=None)
@given(slope=st.floats(0.01, 50), shift=st.floats(-1000, 1000))
def test_match_undoes_any_line(slope: float, shift: float) -> None:
    clean = blobs()
    np.testing.assert_allclose(affine_match(clean, slope * clean + shift), slope * clean + shift, rtol=1e-9)


def test_match_leaves_nothing_a_line_could_explain() -> None:
    clean = blobs()
    noisy = noisy_of(clean)
    rest = noisy - affine_match(clean, noisy)
    assert abs(rest.mean()) < 1e-9
    assert abs(np.corrcoef(rest.ravel(), clean.ravel())[0, 1]) < 1e-9


def test_match_of_a_flat_reference_is_the_mean() -> None:
    noisy = noisy_of(blobs())
    np.testing.assert_allclose(affine_match(np.full(noisy.shape, 7), noisy), noisy.mean())


def test_range_follows_the_noisy_dtype() -> None:
    clean = np.array([[1.0, 900.0]])
    assert data_range(clean, np.uint8) == 255.0
    assert data_range(clean, np.uint16) == 900.0


@pytest.mark.parametrize("metric", [lambda a, b: ssim(a, b, 2300.0), microssim])
def test_similarity_of_equal_images_is_one_and_falls_with_noise(metric) -> None:
    clean = blobs()
    slight, strong = (clean + s * np.random.default_rng(3).normal(size=clean.shape) for s in (20, 300))
    assert metric(clean, clean) == pytest.approx(1.0)
    assert metric(strong, clean) < metric(slight, clean) < 1.0


def test_ssim_of_a_stack_is_the_mean_of_its_planes() -> None:
    clean = blobs(shape=(2, 3, 24, 30))
    noisy = noisy_of(clean)
    planes = [ssim(noisy[i, j], clean[i, j], 2300.0) for i in range(2) for j in range(3)]
    assert ssim(noisy, clean, 2300.0) == pytest.approx(np.mean(planes))


@settings(max_examples=15, deadline=None)
@given(slope=st.floats(0.02, 40), shift=st.floats(-500, 500))
def test_microssim_forgives_factor_and_background(slope: float, shift: float) -> None:
    clean = blobs()
    noisy = noisy_of(clean)
    assert microssim(slope * noisy + shift, clean) == pytest.approx(microssim(noisy, clean), abs=1e-5)


def package_microssim(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """The authors' package: its own figure, and its figure at the factor that maximises it."""
    package = pytest.importorskip("microssim", reason="the authors' microssim package is not installed")
    fitted = package.MicroSSIM().fit(reference, image).get_parameters()
    planes = list(
        zip(reference.reshape(-1, *image.shape[-2:]), image.reshape(-1, *image.shape[-2:]), strict=True)
    )

    def at(factor: float) -> float:
        scorer = package.MicroSSIM(**{**fitted, "ri_factor": factor})
        return float(np.mean([scorer.score(x, y) for x, y in planes]))

    start = fitted["ri_factor"]
    best = minimize_scalar(lambda a: -at(a), bounds=(start / 2, start * 2), method="bounded")
    return at(start), -float(best.fun)


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")  # of the package
@pytest.mark.parametrize(("shape", "strength"), [((64, 72), 1.0), ((64, 72), 0.2), ((3, 64, 72), 0.5)])
def test_microssim_agrees_with_its_package(shape: tuple[int, ...], strength: float) -> None:
    clean = blobs(shape=shape)
    noisy = strength * noisy_of(clean) + 40
    theirs, theirs_at_best = package_microssim(noisy, clean)
    ours = microssim(noisy, clean)
    assert ours == pytest.approx(theirs_at_best, abs=1e-6)
    assert theirs <= ours + 1e-6
    assert ours == pytest.approx(
        theirs, abs=3e-3
    )  # it fits the factor under another window than it scores with


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")
def test_microssim_agrees_with_its_package_on_a_real_field(data_folder: Path) -> None:
    from skimage.io import imread

    folder = data_folder / "data" / "test" / "w2s"
    name = sorted(p.name for p in (folder / "clean").iterdir())[0]
    clean, noisy = (imread(str(folder / kind / name))[:256, :256] for kind in ("clean", "noisy"))
    theirs, theirs_at_best = package_microssim(noisy, clean)
    assert microssim(noisy, clean) == pytest.approx(theirs_at_best, abs=1e-6)
    assert microssim(noisy, clean) == pytest.approx(theirs, abs=3e-3)


@pytest.mark.parametrize("metric", [lambda a, b: ssim(a, b, 1.0), microssim])
def test_a_plane_smaller_than_the_window_is_unavailable(metric) -> None:
    with pytest.raises(MetricUnavailable, match=r"11 x 11 px, found \(10, 40\)"):
        metric(np.ones((10, 40)), np.ones((10, 40)))


def test_microssim_of_a_flat_reference_is_unavailable() -> None:
    with pytest.raises(MetricUnavailable, match="flat"):
        microssim(blobs(), np.full((48, 56), 5.0))


def test_refusals_name_what_was_found() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(2, 3\)"):
        psnr(np.ones((2, 2)), np.ones((2, 3)), 1.0)
    with pytest.raises(ValueError, match="data_range must be a number above 0 counts, found 0"):
        psnr(np.ones((2, 2)), np.ones((2, 2)), 0)
    with pytest.raises(ValueError, match="at least one pixel"):
        psnr(np.ones((0, 2)), np.ones((0, 2)), 1.0)
    with pytest.raises(ValueError, match="axes"):
        ssim(np.ones(20), np.ones(20), 1.0)


def test_importing_the_metrics_loads_no_torch() -> None:
    code = "import sys, napari_rdpdenoise.metrics as m; m.psnr; sys.exit(3 if 'torch' in sys.modules else 0)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys, napari_rdpdenoise.metrics as m; m.lpips; sys.exit(3 if 'torch' in sys.modules else 0)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3


@pytest.mark.parametrize("gain", [0.0, 2.0])
@pytest.mark.parametrize("light", [20.0, 3000.0])
def test_distances_are_told_in_the_noise_wherever_the_light_is(gain: float, light: float) -> None:
    rng, noise = np.random.default_rng(4), NoiseModel(gain, 100.0, 3.0)
    clean = 100 + light * (1 + np.arange(40_000).reshape(200, 200) / 40_000)
    electrons = rng.poisson((clean - 100) / gain) * gain + 100 if gain else clean
    noisy = electrons + rng.normal(0, 3.0, clean.shape)
    assert noise_distance(noisy, clean, noise, noisy=True) == pytest.approx(1.0, abs=0.03)
    shifted = clean + 0.1 * np.sqrt(noise.variance(clean))
    assert noise_distance(shifted, clean, noise) == pytest.approx(0.1, rel=0.03)
    assert noise_distance(clean, clean, noise) == 0.0


def test_what_is_no_number_has_no_distance() -> None:
    noise, clean = NoiseModel(0.0, 0.0, 1.0), np.zeros((4, 4))
    image = clean + 0.5
    image[0] = np.nan
    assert noise_distance(image, clean, noise) == pytest.approx(0.5)
    assert np.isnan(noise_distance(np.full((4, 4), np.nan), clean, noise))
    with pytest.raises(ValueError, match="must have one shape"):
        noise_distance(clean[:2], clean, noise)
