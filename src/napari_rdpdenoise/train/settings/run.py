"""Settings of a whole training run, and the YAML file that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, Field, model_validator

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.train.settings.sources import MotionRange, NoiseRange, SourceSettings
from napari_rdpdenoise.train.settings.stages import Stage


class TrainSettings(BaseModel, frozen=True, extra="forbid"):
    """A training run: data, network, and the stages that follow one another."""

    name: str = Field(description="model name")
    network: NetworkConfig = NetworkConfig()
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    noise: NoiseRange = NoiseRange()
    motion: MotionRange = MotionRange()
    stages: tuple[Stage, ...] = Field(min_length=1)
    batch: int = Field(6, ge=1)
    crop: int = Field(160, ge=32, multiple_of=32, description="training crop edge, px")
    counts_share: float = Field(
        0.5, ge=0, le=1, description="share of the loss weighted as error in raw counts"
    )
    validate_every: int = Field(1000, ge=1, description="steps between two validations")
    start_from: str | None = Field(
        None, description="a model's name, or a file relative to the data folder; None: random weights"
    )
    seed: int = 0
    threads: int | None = Field(None, description="CPU threads; None leaves torch's choice")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="numbers of the residual blocks' branches; auto: bfloat16 where it is faster"
    )
    workers: int = Field(1, ge=1, description="processes that make batches; a GPU needs about 8")

    @model_validator(mode="after")
    def _stages_follow(self) -> TrainSettings:
        kinds = [stage.kind for stage in self.stages]
        if kinds != sorted(kinds, key=("realism", "flow").__contains__):
            raise ValueError("stages: realism and flow must come last, because they freeze everything else")
        if "adapt" in kinds and len(kinds) > 1:
            raise ValueError(f"stages: adapt must be the only one, found it among {', '.join(kinds)}")
        if kinds[0] in ("realism", "flow", "adapt") and self.start_from is None:
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
