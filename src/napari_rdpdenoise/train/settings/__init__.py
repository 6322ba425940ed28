"""Settings of a training run; one YAML file holds them, and the checkpoint and the model's card keep them."""

from napari_rdpdenoise.train.settings.run import TrainSettings, load_settings
from napari_rdpdenoise.train.settings.sources import MotionRange, NoiseRange, SourceSettings
from napari_rdpdenoise.train.settings.stages import AdaptStage, CodecStage, FlowStage, RealismStage, Stage

__all__ = [
    "AdaptStage",
    "CodecStage",
    "FlowStage",
    "MotionRange",
    "NoiseRange",
    "RealismStage",
    "SourceSettings",
    "Stage",
    "TrainSettings",
    "load_settings",
]
