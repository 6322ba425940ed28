"""One noisy image and nothing else: a small codec of its patches, trained on the image itself.

ZS-NCD (2506.12693) and DeCompress (2503.22015): all overlapping patches of 8x8 px are coded, decoded and
averaged where they overlap. ``loss = 255^2 * MSE + lambda * bpp`` on values in [0, 1], distortion to the
noisy image. Noise does not compress: with lambda such that the residual's mean square is the noise variance,
what is left is the image.

The published lambda is found by a search over whole trainings. Here it follows the residual while the codec
learns, ``log lambda += k * log(noise variance / residual)``, with the residual of rounded, averaged patches
in a few windows; it starts from the published settings: 1.3 times the noise variance in 8-bit counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.finetune.settings import PatchSettings
from napari_rdpdenoise.finetune.transform_codec import LAMBDA, Class, denoise, learn
from napari_rdpdenoise.nn._triton import keep_triton_out
from napari_rdpdenoise.nn.patch_codec import PATCH, PatchCodec
from napari_rdpdenoise.noise import NoiseModel, estimate_noise, stabilize, unstabilize
from napari_rdpdenoise.train.adam import Adam
from napari_rdpdenoise.train.loop import TrainProgress
from napari_rdpdenoise.train.weights import checkpoint_of, load_checkpoint

_CLIP = 2.0  # gradient norm, as published
_START = 1.3  # lambda over the noise variance in 8-bit counts squared: the published table
_BOUND = 30.0  # times that start, upwards and downwards
_FOLLOW = 0.5  # k of the module's head
_WINDOW = 40  # px, edge of the windows in which the residual is measured
_WINDOWS = 6
_CHUNK = 8192  # patches at once
_LEAST = 16  # px


@dataclass(frozen=True)
class Scale:
    """Counts <-> values in about [0, 1] with one noise level.

    Attributes:
        low: Value (stabilised or counts) that maps to 0.
        span: Difference to the value that maps to 1.
        sigma: Noise standard deviation of the mapped values; of counts the root of the mean variance.
        noise: Noise of the image, counts.
        domain: Domain of the values: "stabilised" or "counts".
    """

    low: float
    span: float
    sigma: float
    noise: NoiseModel
    domain: str

    @classmethod
    def fit(cls, plane: NDArray, noise: NoiseModel, domain: str) -> Scale:
        """Fit the scale to a plane (rows, columns), counts, of that noise; ``domain`` as above."""
        values = _in_domain(plane, noise, domain)
        low, high = (float(v) for v in np.percentile(values, [0.1, 99.9]))
        span = max(high - low, 1e-6)
        variance = 1.0 if domain == "stabilised" else float(np.mean(noise.variance(plane)))
        return cls(low, span, float(np.sqrt(variance)) / span, noise, domain)

    def forward(self, plane: NDArray) -> NDArray[np.float32]:
        """Counts to values."""
        values = _in_domain(plane, self.noise, self.domain)
        return np.asarray((values - self.low) / self.span, dtype=np.float32)

    def inverse(self, values: NDArray) -> NDArray[np.float32]:
        """Denoised values to counts, without the transform's bias."""
        back = np.asarray(values, np.float32) * np.float32(self.span) + np.float32(self.low)
        return unstabilize(back, self.noise) if self.domain == "stabilised" else back


def denoise_linear(
    plane: NDArray[Any], settings: PatchSettings, noise: NoiseModel | None = None
) -> Generator[TrainProgress, None, NDArray[np.float32]]:
    """Fit a codec without a network (`transform_codec`) to one plane, yielding progress, and denoise it.

    Args:
        plane: Plane (rows, columns) of finite counts, at least 16 px each way.
        settings: Settings of kind "linear".
        noise: Noise of the plane; None to estimate it.

    Returns:
        The denoised plane, counts.

    Raises:
        ValueError: If the plane is not as described.
    """
    _check_plane(plane)
    scale = Scale.fit(plane, noise or estimate_noise([plane]), settings.domain)
    values = scale.forward(plane) / np.float32(scale.sigma)
    classes: tuple[Class, ...] = ()
    start = time.monotonic()
    for number, state in enumerate(learn(values, settings.classes, settings.rounds, settings.seed)):
        classes = state.classes
        told = {
            "loss": state.residual + LAMBDA * state.bpp,
            "distortion": state.residual,
            "bpp": state.bpp,
            "residual": state.residual,
            "lambda": LAMBDA,
        }
        yield TrainProgress("patches", number + 1, settings.rounds, told, time.monotonic() - start, {})
    return scale.inverse(denoise(values, classes) * np.float32(scale.sigma))


class PatchTrainer:
    """Trains a network of one plane's patches; a generator, as the trainer is.

    The plane (rows, columns) has finite counts and at least 16 px each way; its noise is estimated where it
    is not given. ``folder`` gets ``checkpoint.pt``, and one of the same image and settings there is
    continued.

    Raises:
        ValueError: If the plane is not as described.
    """

    def __init__(
        self,
        plane: NDArray[Any],
        settings: PatchSettings | None = None,
        folder: Path | None = None,
        noise: NoiseModel | None = None,
        device: str = "cpu",
    ) -> None:
        _check_plane(plane)
        settings = settings or PatchSettings(kind="conv")
        if settings.kind == "linear":
            raise ValueError("kind: expected conv or mlp for a network, found linear; call denoise_linear")
        self.settings, self.device = settings, device
        self.checkpoint = None if folder is None else folder / "checkpoint.pt"
        self.scale = Scale.fit(plane, noise or estimate_noise([plane]), settings.domain)
        values = self.scale.forward(plane)
        self._image = torch.from_numpy(values)
        self._identity = hashlib.sha256(values.tobytes()).hexdigest()
        torch.manual_seed(settings.seed)
        self.codec = PatchCodec(
            "conv" if settings.kind == "conv" else "mlp", settings.latents, settings.width
        ).to(device)
        named = list(self.codec.named_parameters())
        self._main = [p for n, p in named if not n.endswith("quantiles")]
        keep_triton_out()
        self._optimizer = Adam(self._main, lr=settings.learning_rate)
        self._quantiles = Adam([p for n, p in named if n.endswith("quantiles")], lr=1e-4)
        self._windows = _windows(values.shape, settings.seed)
        self.tradeoff = _START * (255 * self.scale.sigma) ** 2
        self._bounds = self.tradeoff / _BOUND, self.tradeoff * _BOUND
        self.step, self.residual = 0, float("nan")

    def run(self) -> Generator[TrainProgress, None, NDArray[np.float32]]:
        """Train to the last step, yielding progress; returns the denoised plane in counts.

        Closing the generator stops within a step and saves.
        """
        if self.checkpoint is not None:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            if self.checkpoint.is_file():
                self._load(self.checkpoint)
        start, rows, total = time.monotonic(), [], self.settings.steps
        try:
            while self.step < total:
                rows.append(self._step())
                if self.step % self.settings.check_every == 0 or self.step == total:
                    self._follow()
                    self._save()
                    means = np.mean(rows, axis=0)
                    values = dict(zip(("loss", "distortion", "bpp"), map(float, means), strict=True))
                    values |= {"residual": self.residual, "lambda": self.tradeoff}
                    rows = []
                    yield TrainProgress("patches", self.step, total, values, time.monotonic() - start, {})
        finally:
            self._save()
        return self.denoised()

    def denoised(self) -> NDArray[np.float32]:
        """The plane as the codec has it now, counts."""
        return self.scale.inverse(self._averaged(self._image, self.settings.stride).numpy())

    def _step(self) -> tuple[float, float, float]:
        settings = self.settings
        torch.manual_seed(settings.seed * 1_000_003 + self.step)
        late = self.step >= 0.8 * settings.steps
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * (0.1 if late else 1.0)
        patches = self._draw(settings.batch).to(self.device)
        self.codec.train()
        out = self.codec(patches)
        error = (out.image - patches).square().mean()
        bpp = out.bits.mean() / PATCH**2
        loss = 255**2 * error + self.tradeoff * bpp
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._main, _CLIP)
        self._optimizer.step()
        self._quantiles.zero_grad()
        self.codec.aux_loss().backward()
        self._quantiles.step()
        self.step += 1
        return loss.item(), error.item() / self.scale.sigma**2, bpp.item()

    def _draw(self, count: int) -> Tensor:
        height, width = (n - PATCH + 1 for n in self._image.shape)
        y, x = torch.randint(height, (count, 1, 1)), torch.randint(width, (count, 1, 1))
        inside = torch.arange(PATCH)
        return self._image[y + inside[:, None], x + inside][:, None]

    def _follow(self) -> None:
        """Measure the residual, noise variances, and let lambda follow it."""
        squares = []
        for y, x in self._windows:
            part = self._image[y : y + _WINDOW, x : x + _WINDOW]
            squares.append((self._averaged(part, 2) - part).square().mean())
        self.residual = float(torch.stack(squares).mean()) / self.scale.sigma**2
        # while it learns, the error is the codec's, not lambda's
        if self.step >= 0.2 * self.settings.steps:
            change = float(np.clip(-_FOLLOW * np.log(max(self.residual, 1e-6)), -0.4, 0.4))
            self.tradeoff = float(np.clip(self.tradeoff * np.exp(change), *self._bounds))

    def _averaged(self, image: Tensor, stride: int) -> Tensor:
        """Every patch decoded from its rounded latents, averaged where they overlap."""
        self.codec.eval()
        height, width = image.shape
        total, count = torch.zeros(height, width), torch.zeros(height, width)
        rows, columns = (_starts(n, stride) for n in image.shape)
        inside = torch.arange(PATCH)
        block = max(1, _CHUNK // len(columns))
        with torch.inference_mode():
            for first in range(0, len(rows), block):
                some = rows[first : first + block]
                y = some.repeat_interleave(len(columns))[:, None, None] + inside[:, None]
                x = columns.repeat(len(some))[:, None, None] + inside
                place = y * width + x
                decoded = self.codec(image[y, x][:, None].to(self.device)).image[:, 0].cpu()
                total.view(-1).index_add_(0, place.flatten(), decoded.flatten())
                count.view(-1).index_add_(0, place.flatten(), torch.ones(place.numel()))
        return total / count

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"settings": self.settings.model_dump_json(), "identity": self._identity}
        state |= {"step": self.step, "tradeoff": self.tradeoff, "residual": self.residual}
        with atomic(self.checkpoint) as fresh:
            torch.save(state, fresh)

    def _load(self, path: Path) -> None:
        state = load_checkpoint(path, self.device)
        with checkpoint_of(path):
            kept = PatchSettings.model_validate_json(state["settings"])
            kept = kept.model_copy(update=self.settings.model_dump(include={"stride", "steps"}))
            if kept != self.settings or state["identity"] != self._identity:
                made = "with other settings" if kept != self.settings else "from another image"
                raise ValueError(f"out: {path} was made {made}; give another folder or delete it")
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.step, self.tradeoff, self.residual = (state[n] for n in ("step", "tradeoff", "residual"))

    def _parts(self) -> dict[str, Any]:
        return {"codec": self.codec, "optimizer": self._optimizer, "quantiles": self._quantiles}


def _in_domain(plane: NDArray, noise: NoiseModel, domain: str) -> NDArray[np.floating]:
    return stabilize(plane, noise) if domain == "stabilised" else np.asarray(plane, np.float64)


def _check_plane(plane: NDArray[Any]) -> None:
    """Refuse what is not 2-D, too small, not finite or flat."""
    if plane.ndim != 2 or min(plane.shape) < _LEAST:
        raise ValueError(
            f"image: expected a plane of at least {_LEAST} px each way, found the shape {plane.shape}; "
            "give one plane, or a larger part of it"
        )
    if not np.isfinite(plane).all():
        raise ValueError("image: expected finite values, found NaN or infinity; fill those pixels first")
    if plane.min() == plane.max():
        raise ValueError(f"image: expected structure, found {plane.min()} in every pixel; give another one")


def _starts(length: int, stride: int) -> Tensor:
    """Places of the patches along an edge; the last one ends with it."""
    return torch.tensor(sorted({*range(0, length - PATCH + 1, stride), length - PATCH}))


def _windows(shape: tuple[int, ...], seed: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    room = [max(0, n - _WINDOW) + 1 for n in shape]
    return [(int(rng.integers(room[0])), int(rng.integers(room[1]))) for _ in range(_WINDOWS)]
