from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_rdpdenoise.metrics import MetricUnavailable, dists, load_dists, load_lpips, lpips
from napari_rdpdenoise.metrics.perceptual import DistsNet, LpipsNet

NETWORKS = {"alex": "alexnet", "squeeze": "squeezenet1_1"}


@pytest.fixture(scope="session")
def weights(data_folder: Path) -> Path:
    folder = data_folder / "weights"
    if not (folder / "alexnet_features.npz").is_file():
        pytest.skip(f"no published backbones at {folder}")
    return folder


@pytest.fixture(params=["alex", "squeeze"])
def net(request: pytest.FixtureRequest) -> str:
    return request.param


def picture(seed: int, side: int = 72, channels: int = 1) -> torch.Tensor:
    return torch.rand(2, channels, side, side + 9, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def their_lpips(weights: Path) -> Callable[[str], torch.nn.Module]:
    """The reference implementation, with the same network put in."""
    package = pytest.importorskip("lpips", reason="the lpips package is not installed")

    def make(net: str) -> torch.nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls torchvision in an old way
            reference = package.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
        tensors = np.load(weights / f"{NETWORKS[net]}_features.npz")
        keys = reference.net.state_dict().keys()
        reference.net.load_state_dict({k: torch.from_numpy(tensors[k.split(".", 1)[1]]) for k in keys})
        return reference

    return make


@pytest.mark.parametrize("channels", [1, 3])
def test_lpips_equals_the_reference_implementation(
    net: str, channels: int, weights: Path, their_lpips
) -> None:
    a, b = picture(0, channels=channels), picture(1, channels=channels)
    with torch.no_grad():
        expected = their_lpips(net)(
            2 * a.expand(-1, 3, -1, -1) - 1, 2 * b.expand(-1, 3, -1, -1) - 1
        ).flatten()
        found = load_lpips(net, weights)(a, b)
    assert found.shape == (2,)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert float(expected.min()) > 0.01


def test_lpips_of_planes_follows_the_table_protocol(weights: Path, data_folder: Path) -> None:
    path = data_folder / "tools" / "score.py"
    if not path.is_file() or importlib.util.find_spec("lpips") is None:
        pytest.skip(f"needs the lpips package and the scoring script at {path}")
    spec = importlib.util.spec_from_file_location("score_tool", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distance = tool.lpips_net(str(weights))
    rng = np.random.default_rng(0)
    clean = rng.gamma(2.0, 30.0, (64, 70))
    noisy = rng.poisson(clean).astype(np.float64)
    theirs = tool.score(noisy, clean, 0.9 * noisy, distance)
    assert lpips(0.9 * noisy, tool.mapped(clean, noisy), folder=weights) == pytest.approx(
        theirs["lpips"], abs=1e-5
    )


def test_lpips_of_a_stack_is_the_mean_of_its_planes(weights: Path) -> None:
    reference = np.random.default_rng(1).uniform(0, 1, (2, 2, 40, 48)).clip(0.01, 0.99)
    reference[..., 0, :4] = 1.0  # one white level for every plane and the stack
    image = np.random.default_rng(2).uniform(0, 1, reference.shape)
    planes = [lpips(image[i, j], reference[i, j], folder=weights) for i in range(2) for j in range(2)]
    assert lpips(image, reference, folder=weights) == pytest.approx(np.mean(planes), abs=1e-4)
    assert lpips(reference, reference, folder=weights) == 0


def test_lpips_trains_through_and_survives_black(net: str, weights: Path) -> None:
    network = load_lpips(net, weights)
    assert list(network.parameters()) == []  # frozen: an optimiser can never move it
    image = torch.zeros(1, 1, 40, 40, requires_grad=True)
    network(image, picture(3, 40)[:1, :, :, :40]).sum().backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())
    assert float(image.grad.abs().sum()) > 0


def test_lpips_takes_32_px(net: str, weights: Path) -> None:
    assert float(load_lpips(net, weights)(torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32))) > 0


def test_what_cannot_be_scored_says_why(weights: Path) -> None:
    with pytest.raises(MetricUnavailable, match=r"32 x 32 px, found \(31, 40\)"):
        lpips(np.ones((31, 40)), np.ones((31, 40)), folder=weights)
    with pytest.raises(MetricUnavailable, match="light"):
        lpips(np.ones((40, 40)), np.zeros((40, 40)), folder=weights)
    with pytest.raises(ValueError, match=r"\(40, 40\) and \(40, 41\)"):
        lpips(np.ones((40, 40)), np.ones((40, 41)), folder=weights)
    with pytest.raises(ValueError, match="alex, squeeze, found 'vgg'"):
        load_lpips("vgg", weights)


def test_a_wrong_tensor_shape_is_refused(weights: Path) -> None:
    network = load_lpips("alex", weights)
    with pytest.raises(ValueError, match=r"found \(1, 2, 40, 40\)"):
        network(torch.zeros(1, 2, 40, 40), torch.zeros(1, 2, 40, 40))
    with pytest.raises(MetricUnavailable, match=r"\(20, 40\)"):
        network(torch.zeros(1, 1, 20, 40), torch.zeros(1, 1, 20, 40))


def test_missing_networks_make_every_metric_unavailable(tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(1, 2, (40, 40))
    for metric in (lpips, dists):
        with pytest.raises(MetricUnavailable, match="published"):
            metric(image, image, folder=tmp_path)


def test_missing_heads_make_the_metric_unavailable(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_rdpdenoise.metrics.perceptual.find_spec", lambda name: None)
    with pytest.raises(MetricUnavailable, match="pip install 'torchmetrics"):
        load_lpips("alex", weights)


def test_lpips_rises_with_noise(weights: Path) -> None:
    network: LpipsNet = load_lpips("alex", weights)
    base = picture(4, 64)
    smooth = torch.nn.functional.avg_pool2d(base, 9, 1, 4)
    slight, strong = (smooth + s * (base - 0.5) for s in (0.05, 0.4))
    assert bool((network(slight, smooth) < network(strong, smooth)).all())


def test_dists_arithmetic_equals_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random network in both: proves the arithmetic, not the published figure (next test)."""
    vgg = pytest.importorskip("torchvision.models.vgg", reason="torchvision is not installed")
    theirs = pytest.importorskip(
        "torchmetrics.functional.image.dists", reason="torchmetrics is not installed"
    )
    torch.manual_seed(0)
    features = vgg.make_layers(vgg.cfgs["D"])
    # torchmetrics 1.7 takes it from torchvision
    where = theirs if hasattr(theirs, "vgg16") else pytest.importorskip("torchvision.models")
    monkeypatch.setattr(where, "vgg16", lambda **_: type("Vgg", (), {"features": features}))
    reference = theirs.DISTSNetwork()
    tensors = {k: v.numpy() for k, v in features.state_dict().items()}
    network = DistsNet(tensors, reference.alpha.detach(), reference.beta.detach())
    a, b = picture(5, 48, channels=3), picture(6, 48, channels=3)
    with torch.no_grad():
        torch.testing.assert_close(network(a, b), reference(a, b), atol=1e-5, rtol=0)
        assert float(network(a, a).abs().max()) < 1e-5


def test_dists_published_value(data_folder: Path) -> None:
    """The check value of the DISTS project: 0.3347 between its images r0 and r1 at 256 px."""
    folder = data_folder / "weights"
    try:
        network = load_dists(folder)
    except MetricUnavailable as reason:
        pytest.skip(f"DISTS could not be checked against its published value: {reason}")
    images = [folder / "dists" / f"{name}.png" for name in ("r0", "r1")]
    if not all(path.is_file() for path in images):
        pytest.skip(
            f"DISTS could not be checked: its example images r0.png and r1.png are not in {images[0].parent}"
        )
    from skimage.io import imread

    a, b = (torch.from_numpy(imread(p)[..., :3] / np.float32(255)).permute(2, 0, 1)[None] for p in images)
    with torch.inference_mode():
        assert float(network(a, b)) == pytest.approx(0.3347, abs=5e-4)
