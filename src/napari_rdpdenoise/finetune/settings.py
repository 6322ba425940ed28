"""Settings of the three ways to fine-tune a model, and of the patch codec that needs none."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from napari_rdpdenoise.values import Rate

_FASTEST = 0.1  # with Adam, a tenth of a weight of 1 per step
_HEAVIEST = 1000.0  # beside terms that are about 1

Strategy = Literal["N", "CN", "Cn.8", "UD"]
Weight = Annotated[float, Field(ge=0, le=_HEAVIEST)]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="seed of everything random")]


class FinetuneSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Settings that all three ways have."""

    model: str = Field(
        "default",
        min_length=1,
        description="model to start from: a shipped one's name or a folder; default as in denoise",
    )
    steps: int = Field(600, ge=1, description="steps of training, at most")
    learning_rate: float = Field(1e-4, gt=0, le=_FASTEST, description="learning rate of Adam")
    batch: int = Field(4, ge=1, description="crops per step")
    crop: int = Field(96, ge=32, multiple_of=32, description="edge of a crop, px")
    validate_every: int = Field(50, ge=1, description="steps between two validations on held-out data")
    patience: int = Field(6, ge=1, description="validations without a better one after which the run ends")
    rate: Rate = Field("auto", description="rate that matches the noise, 0 to 1; auto measures it")
    seed: Seed = 0
    threads: int | None = Field(None, ge=1, description="CPU threads; None leaves torch's choice")


class UnpairedSettings(FinetuneSettings):
    """Noisy images and clean ones of other places (GanDeCompress, arXiv 2602.11553).

    The published loss, distortion and critic alone, made LPIPS worse on every training domain (by 11 % on
    photographs of textures). So simulated exposures of the references are learned from as well.
    """

    steps: int = Field(1000, ge=1, description="steps of training, at most")
    learning_rate: float = Field(5e-4, gt=0, le=_FASTEST, description="learning rate of Adam")
    batch: int = Field(2, ge=1, description="crops per step")
    validate_every: int = Field(100, ge=1, description="steps between two validations on held-out data")
    encoder: Literal["frozen", "trained"] = Field(
        "frozen", description="whether encoder and gains learn as well"
    )
    target: Literal["noisy", "recorrupted", "decoded"] = Field(
        "decoded",
        description="target of the distortion: noisy input, as published; the same with noise taken off; or "
        "the fidelity decode, which asks for the same without the noise. With encoder trained: recorrupted",
    )
    form: Literal["mse", "rmse"] = Field("mse", description="form of the distortion; rmse as in OTDenoising")
    simulated: Weight = Field(
        8.0,
        description="weight of LPIPS on simulated exposures of the references; 0 as published, and where "
        "AlexNet is not on this machine or the encoder learns",
    )
    pattern: Weight = Field(4.0, description="weight against texture that repeats every 4 or 8 px")
    grain: int = Field(
        8, ge=0, le=64, description="channels of random numbers that a realism decoder without any is given"
    )
    perception: float = Field(0.02, gt=0, le=10, description="weight of the critic; 0.02 as published")
    critic_steps: int = Field(5, ge=1, description="critic steps per decoder step")
    critic_alone: int = Field(20, ge=0, description="steps of the critic before the decoder learns from it")
    gradient_penalty: Weight = Field(10.0, description="weight of the critic's gradient penalty")


class PairsSettings(FinetuneSettings):
    """Noisy images with a clean or a second noisy partner (JDC, arXiv 2307.06233)."""

    learning_rate: float = Field(3e-4, gt=0, le=_FASTEST, description="learning rate of Adam")
    strategy: Strategy = Field(
        "N",
        description="N: the pairs; CN: four to one clean image with itself; Cn.8: the same without the "
        "noisiest crops; UD: the start model's denoised images are the targets",
    )
    partner: Literal["clean", "noisy"] = Field("clean", description="what the partners are")
    realism_steps: int = Field(
        300,
        ge=0,
        description="steps of the realism decoder afterwards, where the model has one; 0 leaves it out",
    )


class ZeroShotSettings(FinetuneSettings):
    """Noisy images alone, from a trained model.

    The published loss (ZS-NCD, arXiv 2506.12693) has the noisy image itself as target, which makes a trained
    codec worse: its encoder learns to keep noise. So the default target shares no noise with the input.
    """

    steps: int = Field(1500, ge=1, description="steps of training, at most")
    learning_rate: float = Field(5e-4, gt=0, le=_FASTEST, description="learning rate of Adam")
    batch: int = Field(2, ge=1, description="crops per step")
    target: Literal["noisy", "recorrupted"] = Field(
        "recorrupted",
        description="noisy: the input itself at the noise-matched rate, as published; recorrupted: with "
        "noise that is added to the input and taken off the target",
    )
    price: float = Field(
        0.01,
        gt=0,
        le=_HEAVIEST,
        description="price of a bit per pixel, noise variances; with target noisy it follows the residual, "
        "from 1.3 as published",
    )
    learns: Literal["decoder", "gains", "all"] = Field(
        "all",
        description="what changes: decoder; decoder and gains; or encoder and entropy model as well. Only "
        "with decoder is the realism decoder kept: the others' latents are new to it",
    )
    validate_every: int = Field(150, ge=1, description="steps between two validations on held-out data")


_OF_LINEAR = {"classes", "rounds"}
_OF_NETWORKS = {"latents", "width", "steps", "batch", "learning_rate", "stride", "check_every"}


class PatchSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Settings of a patch codec's training on one image."""

    kind: Literal["linear", "conv", "mlp"] = Field(
        "linear",
        description="linear: classes of patches with transforms of their own, in seconds; "
        "conv, mlp: the published networks, trained for minutes to hours",
    )
    classes: int = Field(10, ge=1, le=256, description="linear: classes of patches")
    rounds: int = Field(5, ge=1, le=1000, description="linear: rounds in which they are fitted")
    latents: int = Field(16, ge=1, description="numbers per patch")
    width: int | None = Field(None, ge=1, description="channels or hidden units; None as published")
    steps: int = Field(
        2000, ge=1, description="steps of training; 20000 as published, with batch 16384, for a GPU"
    )
    batch: int = Field(1024, ge=1, description="patches per step")
    learning_rate: float = Field(
        5e-3,
        gt=0,
        le=_FASTEST,
        description="learning rate; it falls to a tenth for the last fifth; mlp: 1e-3",
    )
    domain: Literal["counts", "stabilised"] = Field(
        "counts",
        description="values in which the error is measured: counts, as published, or after the "
        "variance-stabilising transform",
    )
    stride: int = Field(1, ge=1, le=8, description="px between the patches that are averaged in the end")
    check_every: int = Field(50, ge=1, description="steps between two measurements of the residual")
    seed: Seed = 0

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        """Nobody who asks for steps of a network gets a codec without any."""
        others = _OF_LINEAR if self.kind != "linear" else _OF_NETWORKS
        fields = type(self).model_fields
        if strange := [name for name in sorted(others) if getattr(self, name) != fields[name].default]:
            kinds = "conv or mlp" if self.kind == "linear" else "linear"
            raise ValueError(
                f"{strange[0]}: expected none with kind {self.kind}, found "
                f"{getattr(self, strange[0])}; give kind {kinds}, or leave it out"
            )
        return self

    @property
    def total(self) -> int:
        """Number of steps or rounds until the end."""
        return self.rounds if self.kind == "linear" else self.steps
