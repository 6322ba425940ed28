"""Settings of the stages of a training run: how each part of the network learns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_LEAST = 0.2  # lambda at rate 0
_STEP = 1000 ** (1 / 7)  # from one anchor to the next


class _StageSettings(BaseModel):
    """Settings that every stage has: steps of Adam, their rate, and averaged weights.

    A rate that stays constant lets a run be prolonged at any time: with more steps, and a stage after it in
    which the rate falls, for weights that are to be used.
    """

    model_config = _FROZEN

    steps: int = Field(ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["falling", "constant"] = Field(
        "falling", description="falling: by a cosine to final_rate; constant: as it is after the warm-up"
    )
    final_rate: float = Field(0.02, gt=0, le=1, description="learning rate at the end, share of the start")
    warm_up: int = Field(300, ge=1, description="steps of a learning rate that rises")
    ema: float = Field(0.9995, gt=0, lt=1, description="decay of the averaged weights that are shipped")
    rate_power: float = Field(
        0.4, gt=0, description="power of rate = uniform ** power: below 1 favours the top of the range"
    )
    balance: float = Field(
        0.01,
        gt=0,
        description="noise variances; an image denoised better than this does not gain more weight",
    )


class CodecStage(_StageSettings):
    """Encoder, gains, entropy model and fidelity decoder: ``w * (distortion + bpp / lambda)``.

    ``high-rate`` keeps to the top of the rate range, where nothing is lost for bits, so that the transforms
    are there before they have to share; ``all-rates`` then trains the gains as well.
    """

    kind: Literal["high-rate", "all-rates"]
    tradeoff: tuple[float, float] | None = Field(
        None,
        description="lambda at rates 0 and 1: loss = MSE / noise variance + bpp / lambda; None: from 0.2 on, "
        "2.68 times as much from one of the network's gain anchors to the next (8: 200, 10: 1440)",
    )

    def tradeoff_of(self, anchors: int) -> tuple[float, float]:
        """Lambda at rates 0 and 1 of a network of so many gain anchors."""
        return self.tradeoff or (_LEAST, _LEAST * _STEP ** (anchors - 1))

    @model_validator(mode="after")
    def _ascends(self) -> CodecStage:
        if self.tradeoff is not None and not 0 < self.tradeoff[0] <= self.tradeoff[1]:
            raise ValueError(f"tradeoff must be two ascending numbers above 0, found {self.tradeoff}")
        return self


class RealismStage(_StageSettings):
    """The realism decoder alone, encoder frozen: distortion, LPIPS (AlexNet) and a conditional critic.

    ``distortion * log(MSE / MSE of the fidelity decode) + lpips * LPIPS - adversarial * critic
    + pattern * repetition of the added texture``: CGanDeCompress
    (Nguyen et al. 2026, arXiv 2602.11553), whose weights are not published.
    """

    kind: Literal["realism"]
    learning_rate: float = Field(4e-4, gt=0)
    distortion: float = Field(
        1.0, ge=0, description="weight of the logarithm of the error, relative to the fidelity decode's"
    )
    lpips: float = Field(4.0, ge=0, description="weight of LPIPS (AlexNet) on the displayed image")
    adversarial: float = Field(0.03, ge=0, description="weight of the Wasserstein critic; 0 trains none")
    gradient_penalty: float = Field(
        10.0, ge=0, description="weight of the critic's gradient penalty (Gulrajani et al. 2017)"
    )
    critic_steps: int = Field(2, ge=1, description="critic steps per decoder step")
    critic_rate: float = Field(
        4e-4, gt=0, description="learning rate of the critic; it does not fall, a tired critic is outrun"
    )
    fresh: bool = Field(
        False,
        description="whether to start from a copy of the fidelity decoder in place of a realism decoder",
    )
    pattern: float = Field(
        0.0, ge=0, description="weight of the added texture's likeness to itself 4 or 8 px further on"
    )
    critic_from: int = Field(2000, ge=0, description="step at which the critic starts to learn")
    critic_alone: int = Field(200, ge=0, description="steps of the critic before the decoder learns from it")


class FlowStage(_StageSettings):
    """The flow decoder alone, all else frozen: error, agreement within segments, and LPIPS (AlexNet).

    ``(1 - rho) (error + consistency * disagreement) + rho lpips * LPIPS``: DiffDeCompress (Nguyen et al.
    2026, arXiv 2602.11553), whose weights are not published, over straight lines from the fidelity decode.
    """

    kind: Literal["flow"]
    learning_rate: float = Field(5e-4, gt=0)
    rho: tuple[float, ...] = Field(
        (0.0, 0.9), min_length=1, description="weights of perception, one of which each sample is given"
    )
    lpips: float = Field(4.0, ge=0, description="weight of LPIPS where rho is 1; 0 leaves it out")
    consistency: float = Field(1.0, ge=0, description="weight of agreement within a segment")

    @model_validator(mode="after")
    def _shares(self) -> FlowStage:
        if not all(0 <= rho < 1 for rho in self.rho):
            raise ValueError(f"rho: expected numbers from 0 to below 1, found {self.rho}; use (0, 0.9)")
        return self


class AdaptStage(_StageSettings):
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
    warm_up: int = Field(20, ge=1, description="steps of a learning rate that rises")
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
    critic_rate: float = Field(
        4e-4, gt=0, description="learning rate of the critic; 1e-4 as published, for far longer runs"
    )
    critic_alone: int = Field(20, ge=0, description="steps of the critic before the decoder learns from it")
    gradient_penalty: float = Field(
        10.0, ge=0, description="weight of the critic's gradient penalty (Gulrajani et al. 2017)"
    )
    rate: float = Field(1.0, ge=0, le=1, description="rate that matches the noise")
    rate_spread: float = Field(
        0.15, ge=0, description="half of the samples are at rates so far around, the others anywhere above"
    )
    price: float = Field(
        1.3,
        gt=0,
        description="price of a bit per pixel at the start, noise variances; 1.3 as published for ZS-NCD",
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


Stage = Annotated[CodecStage | RealismStage | FlowStage | AdaptStage, Field(discriminator="kind")]
