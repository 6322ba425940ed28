"""Perceptual distances over published networks: LPIPS (AlexNet, SqueezeNet; v0.1 heads) and DISTS (VGG16).

Written over plain torch functions, so that no torchvision is needed and gradients flow (the networks serve as
training losses too). Heads come with torchmetrics; networks are the user's own files (``backbones``).

Sources: LPIPS, Zhang et al., CVPR 2018, version 0.1. DISTS, Ding et al., TPAMI 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from napari_rdpdenoise.metrics.backbones import Tensors, load_backbone
from napari_rdpdenoise.metrics.errors import MetricUnavailable

_SMALLEST = 32  # px; below it the networks' last layers are empty
_WHITE_PERCENTILE = 99.9
_NETWORKS = {"alex": "alexnet", "squeeze": "squeezenet1_1"}
# Layer numbers as in torchvision's `features`; "|" marks a tap, where features are compared.
_PLANS = {
    "alex": "conv0:4:2 | pool conv3:1:2 | pool conv6:1:1 | conv8:1:1 | conv10:1:1 |",
    "squeeze": "conv0:2:0 | ceil fire3 fire4 | ceil fire6 fire7 | ceil fire9 | fire10 | fire11 | fire12 |",
    "vgg": "conv0:1:1 conv2:1:1 | blur conv5:1:1 conv7:1:1 | blur conv10:1:1 conv12:1:1 conv14:1:1 | "
    "blur conv17:1:1 conv19:1:1 conv21:1:1 | blur conv24:1:1 conv26:1:1 conv28:1:1 |",
}


class _Layers(nn.Module):
    """Convolution layers run from a plan; yields the features at every tap."""

    def __init__(self, plan: str, tensors: Tensors) -> None:
        super().__init__()
        self.plan = plan.split()
        for key, value in tensors.items():
            self.register_buffer(key.replace(".", "_"), torch.from_numpy(value.copy()), persistent=False)

    def forward(self, x: Tensor) -> Iterator[Tensor]:
        for step in self.plan:
            if step == "|":
                yield x
            elif step in ("pool", "ceil"):
                x = functional.max_pool2d(x, 3, 2, ceil_mode=step == "ceil")
            elif step == "blur":
                x = _root_mean_pool(x)
            elif step.startswith("fire"):
                x = self._fire(x, step.removeprefix("fire"))
            else:
                layer, stride, padding = step.removeprefix("conv").split(":")
                x = self._conv(x, layer, int(stride), int(padding))

    def _conv(self, x: Tensor, layer: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
        return functional.relu(functional.conv2d(x, weight, bias, stride, padding))

    def _fire(self, x: Tensor, layer: str) -> Tensor:
        x = self._conv(x, f"{layer}_squeeze")
        wide = self._conv(x, f"{layer}_expand3x3", padding=1)
        return torch.cat([self._conv(x, f"{layer}_expand1x1"), wide], dim=1)


class LpipsNet(nn.Module):
    """LPIPS v0.1: weighted squared distance of unit-length features, mean over positions, sum over layers."""

    shift: Tensor
    scale: Tensor

    def __init__(self, net: str, tensors: Tensors, heads: list[Tensor]) -> None:
        super().__init__()
        self.layers = _Layers(_PLANS[net], tensors)
        self.depth = len(heads)
        for k, head in enumerate(heads):
            self.register_buffer(f"head{k}", head, persistent=False)
        for name, values in (("shift", (-0.030, -0.088, -0.188)), ("scale", (0.458, 0.448, 0.450))):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Distance of each pair, (N,), >= 0; differentiable.

        Both are (N, 1 or 3, H, W), float, 0..1, H and W at least 32 px.
        """
        _check(image, reference)
        total = image.new_zeros(image.shape[0])
        first, second = self.features(image), self.features(reference)
        for k, (a, b) in enumerate(zip(first, second, strict=True)):
            distance = functional.conv2d((_unit(a) - _unit(b)) ** 2, self.get_buffer(f"head{k}"))
            total = total + distance.mean(dim=(1, 2, 3))
        return total

    def features(self, image: Tensor) -> Iterator[Tensor]:
        """Features (N, C, h, w) of images as for the distance, layer by layer."""
        layers: Iterator[Tensor] = self.layers(
            (2 * image.expand(-1, 3, -1, -1) - 1 - self.shift) / self.scale
        )
        return layers


class DistsNet(nn.Module):
    """DISTS: one minus the weighted agreement of feature means (texture) and covariances (structure)."""

    centre: Tensor
    spread: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, tensors: Tensors, alpha: Tensor, beta: Tensor) -> None:
        super().__init__()
        self.layers = _Layers(_PLANS["vgg"], tensors)
        total = alpha.sum() + beta.sum()
        self.register_buffer("alpha", alpha.flatten() / total, persistent=False)
        self.register_buffer("beta", beta.flatten() / total, persistent=False)
        for name, values in (("centre", (0.485, 0.456, 0.406)), ("spread", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Distance of each pair, as `LpipsNet.forward` takes them: (N,), about 0..1; differentiable."""
        _check(image, reference)
        first, second = list(self._features(image)), list(self._features(reference))
        sizes = [a.shape[1] for a in first]
        weights = zip(self.alpha.split(sizes), self.beta.split(sizes), strict=True)
        agreement = image.new_zeros(image.shape[0])
        for a, b, (texture, structure) in zip(first, second, weights, strict=True):
            mean_a, mean_b = a.mean(dim=(2, 3)), b.mean(dim=(2, 3))
            var_a, var_b = (x.var(dim=(2, 3), correction=0) for x in (a, b))
            covariance = (a * b).mean(dim=(2, 3)) - mean_a * mean_b
            means = (2 * mean_a * mean_b + 1e-6) / (mean_a**2 + mean_b**2 + 1e-6)
            shapes = (2 * covariance + 1e-6) / (var_a + var_b + 1e-6)
            agreement = agreement + (texture * means + structure * shapes).sum(dim=1)
        return 1 - agreement

    def _features(self, x: Tensor) -> Iterator[Tensor]:
        x = x.expand(-1, 3, -1, -1)
        yield x
        yield from self.layers((x - self.centre) / self.spread)


def load_lpips(net: str = "alex", folder: str | Path | None = None, device: str = "cpu") -> LpipsNet:
    """LPIPS with published weights, frozen, in evaluation mode, on a torch device.

    ``net`` is "alex" (the one of the tables) or "squeeze", ``folder`` as in `backbones.load_backbone`.

    Raises:
        ValueError: ``net`` is unknown.
        MetricUnavailable: Network or heads are not on this machine.
    """
    if net not in _NETWORKS:
        raise ValueError(f"net must be one of {', '.join(_NETWORKS)}, found {net!r}")
    tensors = load_backbone(_NETWORKS[net], folder)
    state = _packaged(f"lpips_models/{net}.pth")
    heads = [state[f"lin{k}.model.1.weight"] for k in range(len(state))]
    return LpipsNet(net, tensors, heads).to(device).eval()


def load_dists(folder: str | Path | None = None, device: str = "cpu") -> DistsNet:
    """DISTS with published weights, frozen, in evaluation mode; arguments and errors as ``load_lpips``."""
    tensors = load_backbone("vgg16", folder)
    state = _packaged("dists_models/weights.pt")
    return DistsNet(tensors, state["alpha"], state["beta"]).to(device).eval()


def lpips(
    image: ArrayLike,
    reference: ArrayLike,
    *,
    net: str = "alex",
    folder: str | Path | None = None,
    device: str = "cpu",
) -> float:
    """LPIPS by the protocol of this project's tables, mean over planes; 0 for equal images.

    Both images, ``(..., Y, X)`` in counts, are divided by the reference's 99.9th percentile (of the whole
    stack) and clipped to 0..1. Network, folder and device are as `load_lpips` takes them.

    Raises:
        ValueError: Shapes differ, fewer than two axes, or an unknown ``net``.
        MetricUnavailable: Weights are missing, planes are below 32 px, or the reference is dark throughout.
    """
    return _mean_over_planes(lambda: _kept_lpips(net, folder, device), image, reference, device)


def dists(
    image: ArrayLike, reference: ArrayLike, *, folder: str | Path | None = None, device: str = "cpu"
) -> float:
    """DISTS over the same scaling as ``lpips``; arguments and errors as there."""
    return _mean_over_planes(lambda: _kept_dists(folder, device), image, reference, device)


_kept_lpips, _kept_dists = lru_cache(maxsize=4)(load_lpips), lru_cache(maxsize=2)(load_dists)


def _mean_over_planes(
    load: Callable[[], nn.Module], image: ArrayLike, reference: ArrayLike, device: str
) -> float:
    img, ref = np.asarray(image), np.asarray(reference)
    if img.shape != ref.shape or img.ndim < 2:
        raise ValueError(
            f"image and reference must share one shape (..., Y, X), found {img.shape} and {ref.shape}"
        )
    if ref.size == 0 or min(ref.shape[-2:]) < _SMALLEST:
        raise MetricUnavailable(
            f"perceptual metrics need planes of at least 32 x 32 px, found {ref.shape[-2:]}"
        )
    white = float(np.percentile(ref, _WHITE_PERCENTILE))
    if not white > 0:
        raise MetricUnavailable(
            "perceptual metrics need a reference with light in it; found none above 0 counts"
        )
    network = load()

    def tensor(plane: np.ndarray) -> Tensor:
        unit = np.clip(plane.astype(np.float64) / white, 0, 1).astype(np.float32)
        return torch.from_numpy(unit)[None, None].to(device)

    planes = zip(*(a.reshape(-1, *a.shape[-2:]) for a in (img, ref)), strict=True)
    with torch.inference_mode():
        return float(np.mean([float(network(tensor(a), tensor(b))) for a, b in planes]))


def _packaged(name: str) -> dict[str, Tensor]:
    """Head weights that torchmetrics carries; found without importing it, which would import torchvision."""
    spec = find_spec("torchmetrics")
    for root in (spec.submodule_search_locations if spec else None) or ():
        path = Path(root) / "functional" / "image" / name
        if path.is_file():
            return dict(torch.load(path, map_location="cpu", weights_only=True))
    raise MetricUnavailable(f"torchmetrics' file {name} is missing: pip install 'torchmetrics>=1.7'")


def _check(image: Tensor, reference: Tensor) -> None:
    if image.shape != reference.shape or image.ndim != 4 or image.shape[1] not in (1, 3):
        raise ValueError(
            f"image and reference must share one shape (N, 1 or 3, H, W), found {tuple(image.shape)} "
            f"and {tuple(reference.shape)}"
        )
    if min(image.shape[-2:]) < _SMALLEST:
        raise MetricUnavailable(
            f"perceptual metrics need at least 32 x 32 px, found {tuple(image.shape[-2:])}"
        )


def _unit(x: Tensor) -> Tensor:
    """Features of length 1 at every position; the small term keeps the gradient finite where all are 0."""
    return x / (torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-20) + 1e-10)


def _root_mean_pool(x: Tensor) -> Tensor:
    """Half-size L2 pooling with a 3x3 Hann window: the pooling of DISTS that does not alias."""
    side = x.new_tensor([0.25, 0.5, 0.25])
    window = torch.outer(side, side).expand(x.shape[1], 1, 3, 3)
    return torch.sqrt(functional.conv2d(x * x, window, stride=2, padding=1, groups=x.shape[1]) + 1e-12)
