"""What a training run is made of; one YAML file holds it, and the checkpoint and the model's card keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_rdpdenoise.nn.config import NetworkConfig

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(BaseModel):
    """One folder of training images.

    ``clean``: noise is synthesised on the fly. ``pairs``: ``clean_folder`` holds a file of the same name for
    every file of ``folder``; the clean image is mapped onto the noisy one's scale by its least-squares line.
    """

    model_config = _FROZEN

    kind: Literal["clean", "pairs"]
    folder: str = Field(description="relative to the data folder; images are found by suffix")
    clean_folder: str | None = Field(None, description="pairs only")
    weight: float = Field(1.0, gt=0, description="share of the samples, relative to the other sources")
    downscale: tuple[float, ...] = Field(
        (1.0,), description="clean only: area factors to choose from at random"
    )
    hold_out: tuple[str, ...] = Field((), description="file stems that start so are used for validation only")

    @model_validator(mode="after")
    def _pairs_have_clean(self) -> SourceSettings:
        if (self.kind == "pairs") != (self.clean_folder is not None):
            raise ValueError("clean_folder must be given for kind 'pairs' and only there")
        if not self.downscale or min(self.downscale) <= 0:
            raise ValueError(
                f"downscale must hold factors above 0, found {self.downscale}; use [1.0] for none"
            )
        return self


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


class TrainSettings(BaseModel):
    """A training run of encoder and fidelity decoder."""

    model_config = _FROZEN

    name: str = Field(description="model name")
    network: NetworkConfig = NetworkConfig()
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    noise: NoiseRange = NoiseRange()
    steps: int = Field(40_000, ge=1)
    batch: int = Field(8, ge=1)
    crop: int = Field(128, ge=32, multiple_of=32, description="training crop edge, px")
    learning_rate: float = Field(1e-3, gt=0)
    final_rate: float = Field(0.02, gt=0, le=1, description="learning rate at the end, share of the start")
    warm_up: int = Field(300, ge=1, description="steps")
    tradeoff: tuple[float, float] = Field(
        (0.2, 60.0), description="lambda at rate 0 and 1: loss = MSE / noise variance + bpp / lambda"
    )
    rate_power: float = Field(
        0.5, gt=0, description="q = uniform ** power: below 1 favours the top of the range"
    )
    counts_share: float = Field(
        0.5, ge=0, le=1, description="share of the loss weighted as error in raw counts"
    )
    balance: float = Field(
        0.01,
        gt=0,
        description="noise variances; an image denoised better than this does not gain more weight in the loss",
    )
    ema: float = Field(0.9995, gt=0, lt=1, description="decay of the averaged weights that are shipped")
    validate_every: int = Field(1000, ge=1, description="steps")
    start_from: str | None = Field(
        None,
        description="model.safetensors to start from, relative to the data folder; None: random",
    )
    seed: int = 0
    threads: int | None = Field(None, description="CPU threads; None leaves torch's choice")


def load_settings(path: Path) -> TrainSettings:
    """Read a YAML file of training settings.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a setting is unknown or out of range; the message names it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"config: no file {path}; models/fluo-light/train.yaml is a working example")
    try:
        return TrainSettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ValueError(f"config: {path} is not valid YAML: {error}") from error
