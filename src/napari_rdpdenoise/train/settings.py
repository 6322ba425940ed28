"""What a training run is made of; one YAML file holds it, and the checkpoint and the model's card keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_rdpdenoise.nn.config import NetworkConfig

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class NoiseRange(BaseModel):
    """Range of the synthetic noise; every bound is drawn log-uniformly."""

    model_config = _FROZEN

    photons: tuple[float, float] = Field(
        (6.0, 5000.0), description="photo-electrons at the image's bright end"
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
        for name in ("photons", "read_electrons", "correlation"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be two ascending numbers above 0, found {low} and {high}")
        return self


class SourceSettings(BaseModel):
    """One folder of training images, and what is made of them.

    ``clean``: noise is synthesised on the fly; with ``noisy_target`` the target is a second exposure in the
    place of the clean image (Noise2Noise, Lehtinen et al. 2018).

    ``pairs``: ``clean_folder`` holds a file of the same name for every file of ``folder``; the clean image is
    mapped onto the noisy one's scale by its least-squares line.

    ``noisy``: the target is what ``teacher`` makes of the image.

    ``identity``: clean images to themselves, their noise as estimated. Only images whose range exceeds 64
    standard deviations of it are used: the others look like noisy ones, and would teach to keep noise.

    ``self``: the target is the image itself, for a stage of kind "adapt"; only of images in memory.

    Of these, "pairs", "noisy", "identity" and ``min_ms_ssim`` make the strategies of JDC (Brummer and De
    Vleeschouwer 2023, arXiv 2307.06233): N is ``pairs``, UD is ``noisy``, CN four of ``pairs`` to one
    of ``identity``, and Cn.8 the same with ``min_ms_ssim`` 0.8.
    """

    model_config = _FROZEN

    kind: Literal["clean", "pairs", "noisy", "identity", "self"]
    folder: str = Field(description="relative to the data folder; images are found by suffix")
    clean_folder: str | None = Field(
        None, description="pairs only; with a teacher it serves validation alone and may be left out"
    )
    weight: float = Field(1.0, gt=0, description="share of the samples, relative to the other sources")
    downscale: tuple[float, ...] = Field(
        (1.0,), description="clean and identity only: area factors to choose from at random"
    )
    hold_out: tuple[str, ...] = Field((), description="file stems that start so are used for validation only")
    min_ms_ssim: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="not identity: a crop less similar to its target is drawn again, up to 12 draws in all",
    )
    teacher: str | None = Field(
        None,
        description="noisy and pairs only: model that makes the targets, a shipped one's name or a folder "
        "relative to the data folder",
    )
    noisy_target: bool = Field(False, description="clean only: the target is a second exposure")
    noise: NoiseRange | None = Field(None, description="clean only; None: that of the run")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SourceSettings:
        kinds = {
            "clean_folder": ("pairs",),
            "downscale": ("clean", "identity"),
            "min_ms_ssim": ("clean", "pairs", "noisy"),
            "teacher": ("noisy", "pairs"),
            "noisy_target": ("clean",),
            "noise": ("clean",),
        }
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
        if self.kind == "pairs" and self.clean_folder is None and self.teacher is None:
            raise ValueError("clean_folder must be given for kind 'pairs', or a teacher in its place")
        if self.kind == "noisy" and self.teacher is None:
            raise ValueError("teacher must be given for kind 'noisy', whose images have no clean partner")
        if not self.downscale or min(self.downscale) <= 0:
            raise ValueError(
                f"downscale must hold factors above 0, found {self.downscale}; use [1.0] for none"
            )
        return self


class _Stage(BaseModel):
    """What every stage has: so many steps of Adam, warmed up and then annealed, and averaged weights."""

    model_config = _FROZEN

    steps: int = Field(ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    final_rate: float = Field(0.02, gt=0, le=1, description="learning rate at the end, share of the start")
    warm_up: int = Field(300, ge=1, description="steps")
    ema: float = Field(0.9995, gt=0, lt=1, description="decay of the averaged weights that are shipped")
    rate_power: float = Field(
        0.4, gt=0, description="q = uniform ** power: below 1 favours the top of the range"
    )
    balance: float = Field(
        0.01,
        gt=0,
        description="noise variances; an image denoised better than this does not gain more weight",
    )


class CodecStage(_Stage):
    """Encoder, gains, entropy model and fidelity decoder: ``w * (distortion + bpp / lambda)``.

    ``high-rate`` keeps to the top of the rate range, where nothing is lost for bits, so that the transforms
    are there before they have to share; ``all-rates`` then trains the gains as well.
    """

    kind: Literal["high-rate", "all-rates"]
    tradeoff: tuple[float, float] = Field(
        (0.2, 200.0),
        description="lambda at rate 0 and 1: loss = MSE / noise variance + bpp / lambda",
    )

    @model_validator(mode="after")
    def _ascends(self) -> CodecStage:
        if not 0 < self.tradeoff[0] <= self.tradeoff[1]:
            raise ValueError(f"tradeoff must be two ascending numbers above 0, found {self.tradeoff}")
        return self


class RealismStage(_Stage):
    """The realism decoder alone, encoder frozen: distortion, LPIPS (AlexNet) and a conditional critic.

    ``distortion * MSE / MSE of the fidelity decode + lpips * LPIPS - adversarial * critic
    + pattern * repetition of the added texture``: CGanDeCompress
    (Nguyen et al. 2026, arXiv 2602.11553), whose weights are not published.
    """

    kind: Literal["realism"]
    learning_rate: float = Field(4e-4, gt=0)
    distortion: float = Field(1.0, ge=0, description="weight of the error, relative to the fidelity decode's")
    lpips: float = Field(4.0, ge=0, description="weight of LPIPS (AlexNet) on the displayed image")
    adversarial: float = Field(0.03, ge=0, description="weight of the Wasserstein critic; 0 trains none")
    gradient_penalty: float = Field(10.0, ge=0, description="of the critic (Gulrajani et al. 2017)")
    critic_steps: int = Field(2, ge=1, description="critic steps per decoder step")
    critic_rate: float = Field(
        4e-4, gt=0, description="learning rate of the critic; it does not fall, a tired critic is outrun"
    )
    fresh: bool = Field(
        False, description="start from a copy of the fidelity decoder even where there is a realism decoder"
    )
    pattern: float = Field(
        0.0, ge=0, description="weight of the added texture's likeness to itself 4 or 8 px further on"
    )
    critic_from: int = Field(2000, ge=0, description="step at which the critic starts to learn")
    critic_alone: int = Field(200, ge=0, description="its steps before the decoder listens to it")


class AdaptStage(_Stage):
    """A trained codec on images that have no clean partner: distortion to the noisy input.

    ``distortion + price * bpp + perception * W1(references, output)``, distortion in noise variances. What is
    frozen before the latents has no rate to pay for. Otherwise the price follows the residual until that is
    the noise variance (DeCompress, ZS-NCD). With references this is GanDeCompress (arXiv 2602.11553): 5
    critic steps, gradient penalty 10. ``perception`` is the weight of W1 beside errors of images in [0, 1] at
    a noise of 25/255, as published (0.02), and scaled so at every noise; W1 is divided by the root of the
    number of pixels, without which training was seen to collapse.
    """

    kind: Literal["adapt"]
    steps: int = Field(600, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    warm_up: int = Field(20, ge=1, description="steps")
    ema: float = Field(0.98, gt=0, lt=1, description="decay of the averaged weights that are kept")
    learns: Literal["decoder", "gains", "all"] = Field(
        "decoder",
        description="what changes: decoder; decoder and gains; or encoder and entropy model as well",
    )
    decoder: Literal["fidelity", "realism"] = Field(
        "fidelity", description="which decoder learns; with learns 'all' the fidelity decoder always does"
    )
    target: Literal["noisy", "recorrupted", "decoded"] = Field(
        "recorrupted",
        description="noisy: the input itself, as published; recorrupted: noise that is added to the input is "
        "taken off the target, so that the two have nothing in common but the image; decoded: for the "
        "realism decoder alone, the fidelity decode of the same latents: the input without its noise",
    )
    simulated: float = Field(
        0.0,
        ge=0,
        description="weight of LPIPS (AlexNet) on simulated exposures of the references, beside an error "
        "that is 1 for the fidelity decode's; 0 makes none",
    )
    pattern: float = Field(
        0.0, ge=0, description="weight of texture that repeats every 4 or 8 px, on simulated exposures"
    )
    form: Literal["mse", "rmse"] = Field(
        "mse",
        description="rmse: twice the root, of the same slope at the noise variance (OTDenoising, whose "
        "published balance is then a perception of 0.0065)",
    )
    perception: float = Field(0.0, ge=0, description="weight of W1; 0 trains no critic")
    critic_steps: int = Field(5, ge=1, description="critic steps per decoder step")
    critic_rate: float = Field(4e-4, gt=0, description="1e-4 as published, for far longer runs")
    critic_alone: int = Field(20, ge=0, description="steps of the critic before the decoder listens to it")
    gradient_penalty: float = Field(10.0, ge=0, description="of the critic (Gulrajani et al. 2017)")
    rate: float = Field(1.0, ge=0, le=1, description="rate that matches the noise")
    rate_spread: float = Field(
        0.15, ge=0, description="half of the samples are at rates so far around, the others anywhere above"
    )
    price: float = Field(
        1.3, gt=0, description="of a bit per pixel at the start, noise variances; 1.3 as published for ZS-NCD"
    )

    @model_validator(mode="after")
    def _realism_alone(self) -> AdaptStage:
        alone = self.decoder == "realism" and self.learns != "all"
        if not alone and (self.target == "decoded" or self.simulated):
            raise ValueError(
                "target 'decoded' and simulated compare with a fidelity decoder that stays as it is; use "
                "them with decoder 'realism' and learns 'decoder' or 'gains'"
            )
        return self


Stage = Annotated[CodecStage | RealismStage | AdaptStage, Field(discriminator="kind")]


class TrainSettings(BaseModel):
    """A training run: data, network, and the stages that follow one another."""

    model_config = _FROZEN

    name: str = Field(description="model name")
    network: NetworkConfig = NetworkConfig()
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    noise: NoiseRange = NoiseRange()
    stages: tuple[Stage, ...] = Field(min_length=1)
    batch: int = Field(6, ge=1)
    crop: int = Field(160, ge=32, multiple_of=32, description="training crop edge, px")
    counts_share: float = Field(
        0.5, ge=0, le=1, description="share of the loss weighted as error in raw counts"
    )
    validate_every: int = Field(1000, ge=1, description="steps")
    start_from: str | None = Field(
        None,
        description="a shipped model's name, or a file relative to the data folder; None: random weights",
    )
    seed: int = 0
    threads: int | None = Field(None, description="CPU threads; None leaves torch's choice")
    workers: int = Field(1, ge=1, description="processes that make batches; a GPU needs about 8")

    @model_validator(mode="after")
    def _stages_follow(self) -> TrainSettings:
        kinds = [stage.kind for stage in self.stages]
        if kinds != sorted(kinds, key="realism".__eq__):
            raise ValueError("stages: realism must come last, because it freezes everything else")
        if "adapt" in kinds and len(kinds) > 1:
            raise ValueError(f"stages: adapt must be the only one, found it among {', '.join(kinds)}")
        if kinds[0] in ("realism", "adapt") and self.start_from is None:
            raise ValueError(
                f"stages: {kinds[0]} needs a trained codec; put stages before it or give start_from"
            )
        return self


def load_settings(path: Path) -> TrainSettings:
    """Read a YAML file of training settings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a setting is unknown or out of range; the message names it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"config: no file {path}; models/fluo-light/train.yaml is a working example")
    try:
        return TrainSettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ValueError(f"config: {path} is not valid YAML: {error}") from error
