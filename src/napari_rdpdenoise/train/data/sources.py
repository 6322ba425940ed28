"""What one folder of training images gives: crops with their targets, one class per way to get a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.network_input import ALONE
from napari_rdpdenoise.codec.normalization import MAX_RANGE, fit_normalization
from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.train.data.camera import Exposure, expose
from napari_rdpdenoise.train.data.images import partner_file, random_crop, read_plane, resized
from napari_rdpdenoise.train.data.motion import MARGIN, inside, neighbours_of
from napari_rdpdenoise.train.data.scenes import draw_scene
from napari_rdpdenoise.train.data.similarity import ms_ssim
from napari_rdpdenoise.train.data.teacher import Teacher
from napari_rdpdenoise.train.settings import MotionRange, NoiseRange, SourceSettings

_DRAWS = 12  # of a crop that is to reach min_ms_ssim; then the best of them is taken
_HELD_OUT_SIZE = 256  # px, edge of a simulated scene
_PROBED_IMAGES, _PROBED_CROPS = 32, 4


@dataclass(frozen=True)
class Sample:
    """A crop and what normalising and judging it take.

    Attributes:
        exposure: Exposure of the crop; its ``second``, where there is one, is the target, not ``clean``.
        span: Counts of the dark and the bright end of what it was cut from, without noise.
        scale: Scale of its whole image's normalisation; None: that of the crop.
        display_range: Counts that are displayed as black and white; None: those of the crop.
    """

    exposure: Exposure
    span: tuple[float, float]
    scale: float | None = None
    display_range: tuple[float, float] | None = None

    @property
    def similarity(self) -> float:
        """MS-SSIM of the noisy crop with the clean one."""
        return ms_ssim(self.exposure.noisy, self.exposure.clean, self.span)


class Source(ABC):
    """Training images of one folder, in memory.

    Args:
        settings: Settings of the source.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings

    @property
    def name(self) -> str:
        """Name of its folder, as validation reports it; "identity" is told apart from its pairs."""
        kind = self.settings.kind
        return kind if kind == "simulated" else self.settings.folder + " identity" * (kind == "identity")

    @abstractmethod
    def __len__(self) -> int:
        """Number of images to train on."""

    @abstractmethod
    def sample(self, number: int, size: int, rng: np.random.Generator) -> Sample:
        """A random crop of one image.

        Args:
            number: Number of the image.
            size: Edge of the crop, px.
            rng: Generator of place and noise.
        """

    @abstractmethod
    def held_out(self, file: Path, rng: np.random.Generator) -> Exposure | None:
        """A held-out image with its truth; None where that is not known.

        Args:
            file: Held-out file of the folder; a source that draws its scenes does not look at it.
            rng: Generator of the noise, and of a scene that no file holds.
        """

    def draw(self, size: int, rng: np.random.Generator) -> Sample:
        """A random crop of a random image; with ``min_ms_ssim`` the first of 12 to reach it, or the best."""
        best, least = self._random_sample(size, rng), self.settings.min_ms_ssim
        if least is None:
            return best
        likeness = best.similarity
        for _ in range(_DRAWS - 1):
            if likeness >= least:
                break
            other = self._random_sample(size, rng)
            if (found := other.similarity) > likeness:
                best, likeness = other, found
        return best

    def check_similarity(self, size: int, seed: int) -> None:
        """Look whether ``min_ms_ssim`` can be reached at all, by some crops of some images.

        Raises:
            ValueError: If none of them does.
        """
        least = self.settings.min_ms_ssim
        if least is None:
            return
        rng, best = np.random.default_rng(seed), 0.0
        numbers = np.unique(np.linspace(0, len(self) - 1, _PROBED_IMAGES).astype(int)).repeat(_PROBED_CROPS)
        for number in numbers:
            best = max(best, self.sample(int(number), size, rng).similarity)
            if best >= least:
                return
        raise ValueError(
            f"min_ms_ssim: expected crops of {self.settings.folder} that reach {least}, found at most "
            f"{best:.2f} in {len(numbers)} crops of {size} px; lower it or leave it out"
        )

    def _random_sample(self, size: int, rng: np.random.Generator) -> Sample:
        return self.sample(int(rng.integers(len(self))), size, rng)


class StillSource(Source):
    """Clean scenes: every crop gets a simulated exposure, or two of them, or is set in motion.

    Args:
        settings: Settings of the source.
        noise: Noise of the run; the source's own comes first.
        motion: Range of the motion that makes neighbours; None: no crop has any.
    """

    def __init__(self, settings: SourceSettings, noise: NoiseRange, motion: MotionRange | None) -> None:
        super().__init__(settings)
        self._noise, self._motion = settings.noise or noise, motion

    @abstractmethod
    def _scene(self, number: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A scene (size, size), of the image with this number."""

    def sample(self, number: int, size: int, rng: np.random.Generator) -> Sample:
        """A crop with noise of its own; a new draw is therefore a new light, too."""
        margin = 0 if self._motion is None else MARGIN
        scene, beside = self._scene(number, size + 2 * margin, rng), ALONE
        if self._motion is not None:
            beside = neighbours_of(scene, self._motion, lambda: self._any_scene(size, rng), rng)
            scene = inside(scene)
        exposure = expose(scene, self._noise, rng, self.settings.noisy_target, beside)
        return Sample(exposure, _extremes(exposure.clean))

    def _any_scene(self, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
        return self._scene(int(rng.integers(len(self))), size, rng)


class CleanSource(StillSource):
    """Kind "clean": crops of clean images.

    Args:
        settings: Settings of the source.
        files: Images to train on.
        noise: Noise of the run; the source's own comes first.
        motion: Range of the motion that makes neighbours; None: no crop has any.
    """

    def __init__(
        self,
        settings: SourceSettings,
        files: Sequence[Path],
        noise: NoiseRange,
        motion: MotionRange | None = None,
    ) -> None:
        super().__init__(settings, noise, motion)
        self._images = [read_plane(file) for file in files]

    def __len__(self) -> int:
        return len(self._images)

    def _scene(self, number: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
        factor = float(rng.choice(self.settings.downscale))
        (patch,) = random_crop([self._images[number]], round(size / factor), rng)
        return resized(patch.astype(np.float32), (size, size))

    def held_out(self, file: Path, rng: np.random.Generator) -> Exposure:
        """One exposure; its truth is the clean image."""
        return expose(read_plane(file).astype(np.float32), self._noise, rng)


class SimulatedSource(StillSource):
    """Kind "simulated": scenes that are drawn by chance, a new one for every crop."""

    def __len__(self) -> int:
        return 1

    def _scene(self, number: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
        return draw_scene(size, rng)

    def held_out(self, file: Path, rng: np.random.Generator) -> Exposure:
        """An exposure of a scene of 256 x 256 px, the same one for the same generator."""
        return expose(draw_scene(_HELD_OUT_SIZE, rng), self._noise, rng)


@dataclass(frozen=True)
class Pair:
    """A noisy image and its target, counts (2-D), noise as estimated, scale as in `Sample`."""

    noisy: NDArray[np.generic]
    clean: NDArray[np.float32]
    noise: NoiseModel
    scale: float | None = None


class KnownTargetSource(Source):
    """Images whose targets are known before training."""

    _pairs: list[Pair]

    def __len__(self) -> int:
        return len(self._pairs)

    def sample(self, number: int, size: int, rng: np.random.Generator) -> Sample:
        """A random crop (size, size) of one pair."""
        pair = self._pairs[number]
        noisy, clean = random_crop([pair.noisy, pair.clean], size, rng)
        return Sample(
            Exposure(noisy.astype(np.float32), clean, pair.noise), _extremes(pair.clean), pair.scale
        )


class NoisySource(KnownTargetSource):
    """Kinds "pairs" and "noisy": targets are the partners', or the teacher's, made once when it is loaded.

    Args:
        settings: Settings of the source.
        files: Noisy images to train on.
        root: Data folder.

    Raises:
        FileNotFoundError: If a partner or the teacher is missing.
        ValueError: If a pair's images differ in shape.
    """

    def __init__(self, settings: SourceSettings, files: Sequence[Path], root: Path) -> None:
        super().__init__(settings)
        self._root = root
        if settings.teacher is None:
            self._pairs = [self._with_partner(file) for file in files]
        else:
            teacher = Teacher(settings.teacher, root)
            self._pairs = [_teacher_pair(file, teacher) for file in files]

    def held_out(self, file: Path, rng: np.random.Generator) -> Exposure | None:
        """The image with its partner, never with what the teacher makes of it; None without a partner."""
        if self.settings.clean_folder is None:
            return None
        pair = self._with_partner(file)
        return Exposure(pair.noisy.astype(np.float32), pair.clean, pair.noise)

    def _with_partner(self, file: Path) -> Pair:
        assert self.settings.clean_folder is not None
        noisy = read_plane(file)
        clean = read_plane(partner_file(self._root / self.settings.clean_folder, file)).astype(np.float64)
        if noisy.shape != clean.shape:
            raise ValueError(
                f"pair {file.name}: noisy is {noisy.shape}, clean {clean.shape}; they must be equal"
            )
        slope, level = np.polyfit(clean.ravel(), noisy.ravel().astype(np.float64), 1)
        return Pair(noisy, (slope * clean + level).astype(np.float32), estimate_noise([noisy]))


def _teacher_pair(file: Path, teacher: Teacher) -> Pair:
    noisy = read_plane(file)
    noise = estimate_noise([noisy])
    return Pair(noisy, teacher.denoised(noisy, noise), noise)


class IdentitySource(KnownTargetSource):
    """Kind "identity": clean images to themselves, normalised as the codec would, by their whole image.

    The noise they have left is in input and target alike, in the same counts. The codec scales an image to
    at most 64 standard deviations of its noise, so a clean image's noise is finer than a noisy one's. Nothing
    else tells the network what to keep; images that are not scaled down are left out.

    Args:
        settings: Settings of the source; each image is there at each of its scales.
        files: Images to train on.

    Raises:
        ValueError: If no image is clean enough.
    """

    def __init__(self, settings: SourceSettings, files: Sequence[Path]) -> None:
        super().__init__(settings)
        found = [_identity_pair(read_plane(file), factor) for file in files for factor in settings.downscale]
        self._pairs = [pair for pair in found if pair.scale is not None and pair.scale < 1]
        if not self._pairs:
            raise ValueError(
                f"sources: kind 'identity' needs images whose range exceeds {MAX_RANGE:.0f} standard "
                f"deviations of their noise, found none among {len(found)} of {settings.folder}; give "
                "downscale factors below 1, which average the noise, or use kind 'clean'"
            )

    def held_out(self, file: Path, rng: np.random.Generator) -> Exposure:
        """The image with itself as truth."""
        pair = _identity_pair(read_plane(file), 1.0)
        return Exposure(pair.noisy.astype(np.float32), pair.clean, pair.noise)


def _identity_pair(plane: NDArray[np.generic], factor: float) -> Pair:
    if factor != 1:
        height, width = (max(1, round(n * factor)) for n in plane.shape)
        plane = resized(plane.astype(np.float32), (height, width))
    noise = estimate_noise([plane])
    return Pair(plane, plane.astype(np.float32), noise, fit_normalization([plane], noise).scale)


def _extremes(clean: NDArray[np.float32]) -> tuple[float, float]:
    return float(clean.min()), float(clean.max())
