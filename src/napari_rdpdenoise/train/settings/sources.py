"""Settings of the training data: folders of images, and the noise that is made."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class MotionRange(BaseModel):
    """Neighbours that still images are given, for networks of three planes, and how often they are missing.

    What is moved is the scene, before its exposure. The last share keeps a network from trusting neighbours.
    """

    model_config = _FROZEN

    missing: float = Field(0.4, ge=0, le=1, description="share of samples that lack a neighbour")
    both: float = Field(0.75, ge=0, le=1, description="share of these that lack both")
    still: float = Field(0.25, ge=0, le=1, description="share of samples in which nothing moves")
    amount: tuple[float, float] = Field(
        (0.3, 5.0), description="shift and deformation of the others, px, drawn log-uniformly"
    )
    bleached: float = Field(0.3, ge=0, le=1, description="share of neighbours of another brightness")
    bleaching: float = Field(0.15, ge=0, description="log standard deviation of that brightness")
    defocused: float = Field(0.25, ge=0, le=1, description="share of neighbours out of focus: the next slice")
    defocus: tuple[float, float] = Field((0.5, 2.5), description="sigma of their Gaussian, px")
    unrelated: float = Field(0.15, ge=0, le=1, description="share of neighbours that show something else")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> MotionRange:
        _check_ranges(self, ("amount", "defocus"))
        return self


class NoiseRange(BaseModel):
    """Range of the synthetic noise; every bound is drawn log-uniformly."""

    model_config = _FROZEN

    photons: tuple[float, ...] = Field(
        (6.0, 5000.0),
        min_length=2,
        description="photo-electrons at the image's bright end: least and most, and in between, where there "
        "are more numbers, ends of stretches that are drawn equally often",
    )
    read_electrons: tuple[float, float] = Field((0.05, 6.0), description="read noise, photo-electrons rms")
    background: float = Field(0.3, description="largest share of the bright end that lies under everything")
    excess: float = Field(
        0.3, description="share of samples with an electron-multiplying register's excess noise"
    )
    eight_bit: float = Field(0.5, description="share of samples stretched to 8 bits")
    correlated: float = Field(0.2, description="share of samples with noise that neighbouring pixels share")
    correlation: tuple[float, float] = Field(
        (0.4, 1.2), description="sigma of the Gaussian that such noise went through (interpolation), px"
    )
    mismatch: float = Field(0.1, description="log standard deviation of the error of the noise estimate")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> NoiseRange:
        _check_ranges(self, ("photons", "read_electrons", "correlation"))
        return self


def _check_ranges(settings: BaseModel, names: tuple[str, ...]) -> None:
    for name in names:
        found = getattr(settings, name)
        if found[0] <= 0 or list(found) != sorted(found):
            raise ValueError(
                f"{name} must be ascending numbers above 0, found {' and '.join(map(str, found))}"
            )


_WITH_FILES = ("clean", "pairs", "noisy", "identity", "series", "colours", "self")


class SourceSettings(BaseModel):
    """One folder of training images, and what is made of them; or scenes that no folder holds.

    ``clean``: noise is synthesised on the fly; with ``noisy_target`` the target is a second exposure in the
    place of the clean image (Noise2Noise, Lehtinen et al. 2018).

    ``pairs``: ``clean_folder`` holds a file of the same name for every file of ``folder``; the clean image is
    mapped onto the noisy one's scale by its least-squares line.

    ``noisy``: the target is what ``teacher`` makes of the image.

    ``identity``: clean images to themselves, their noise as estimated. Only images whose range exceeds 64
    standard deviations of it are used: the others look like noisy ones, and would teach to keep noise.

    ``series``: clean stacks (z or time); a plane is exposed like a clean image, and, for a network of three
    planes, the one before and the one after it, in either order.

    ``colours``: clean pictures in colour; a colour is exposed like a clean image, and, for a network of three
    planes, the two others, in either order.

    ``simulated``: no folder; scenes that are drawn by chance (fibres, spots, membranes, bodies, textures) are
    exposed like clean images.

    ``self``: the target is the image itself, for a stage of kind "adapt"; only of images in memory.

    Of these, "pairs", "noisy", "identity" and ``min_ms_ssim`` make the strategies of JDC (Brummer and De
    Vleeschouwer 2023, arXiv 2307.06233): N is ``pairs``, UD is ``noisy``, CN four of ``pairs`` to one
    of ``identity``, and Cn.8 the same with ``min_ms_ssim`` 0.8.
    """

    model_config = _FROZEN

    kind: Literal["clean", "pairs", "noisy", "identity", "series", "colours", "simulated", "self"]
    folder: str = Field(
        "", description="folder relative to the data folder; images are found by suffix; not simulated"
    )
    clean_folder: str | None = Field(
        None,
        description="folder of the partners, pairs only; with a teacher it serves validation alone and may "
        "be left out",
    )
    weight: float = Field(1.0, gt=0, description="share of the samples, relative to the other sources")
    downscale: tuple[float, ...] = Field(
        (1.0,), description="sizes, as factors, to choose from; clean, identity, series and colours only"
    )
    only: tuple[str, ...] = Field((), description="starts of file names that are used; empty: all")
    leave_out: tuple[str, ...] = Field((), description="starts of file names that are not used at all")
    hold_out: tuple[str, ...] = Field(
        (), description="starts of file names that are used for validation only"
    )
    min_ms_ssim: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="least MS-SSIM of a crop with its target, not identity; a lower one is drawn again, up "
        "to 12 draws in all",
    )
    teacher: str | None = Field(
        None,
        description="model that makes the targets, noisy and pairs only: a shipped one's name or a folder "
        "relative to the data folder",
    )
    noisy_target: bool = Field(False, description="whether the target is a second exposure, clean only")
    noise: NoiseRange | None = Field(
        None,
        description="range of the noise, clean, series, colours and simulated only; None: that of the run",
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SourceSettings:
        kinds: dict[str, tuple[str, ...]] = {
            "clean_folder": ("pairs",),
            "downscale": ("clean", "identity", "series", "colours"),
            "min_ms_ssim": ("clean", "pairs", "noisy"),
            "teacher": ("noisy", "pairs"),
            "noisy_target": ("clean",),
            "noise": ("clean", "series", "colours", "simulated"),
        } | dict.fromkeys(("folder", "only", "leave_out", "hold_out"), _WITH_FILES)
        for name, allowed in kinds.items():
            value = getattr(self, name)
            if self.kind not in allowed and value != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} is only for kind {' and '.join(map(repr, allowed))}, found {value!r} with kind "
                    f"{self.kind!r}; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _has_targets(self) -> SourceSettings:
        if not self.folder and self.kind not in ("simulated", "self"):
            raise ValueError(f"folder must be given for kind {self.kind!r}; only 'simulated' needs none")
        if self.kind == "pairs" and self.clean_folder is None and self.teacher is None:
            raise ValueError("clean_folder must be given for kind 'pairs', or a teacher in its place")
        if self.kind == "noisy" and self.teacher is None:
            raise ValueError("teacher must be given for kind 'noisy', whose images have no clean partner")
        if not self.downscale or min(self.downscale) <= 0:
            raise ValueError(
                f"downscale must hold factors above 0, found {self.downscale}; use [1.0] for none"
            )
        return self
