"""A fine-tuning that is ready to start, and what its three kinds have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.codec.autorate import choose_rate
from napari_rdpdenoise.codec.library import DEFAULT, find, model_folder, picture_model
from napari_rdpdenoise.codec.models import build_network, read_tensors
from napari_rdpdenoise.codec.trial import Trial
from napari_rdpdenoise.finetune.guard import Goal
from napari_rdpdenoise.finetune.images import Planes, filled
from napari_rdpdenoise.finetune.in_memory import InMemoryData
from napari_rdpdenoise.finetune.judge import Judge
from napari_rdpdenoise.finetune.settings import FinetuneSettings
from napari_rdpdenoise.finetune.split import cut_parts, hold_out
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoder_names import FLOW, REALISM
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.train.settings import AdaptStage, SourceSettings, TrainSettings
from napari_rdpdenoise.train.weights import with_realism, without

_RATE_WINDOW = 512  # px of a plane that the rate is chosen on

Settings = TypeVar("Settings", bound=FinetuneSettings)
Figures = Callable[[RdpNetwork, dict[str, float]], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start.

    Attributes:
        kind: Way of fine-tuning: "unpaired", "pairs" or "zeroshot".
        settings: Settings as the user gave them.
        train: Settings of the trainer.
        data: Images that are learned from, and those that are held out.
        goal: Figure that decides, see `Guard`.
        figures: Function that gives the figures of a network and its scores on held-out pairs.
        images: Names and fingerprints of the images by argument, for the card.
        remarks: Sentences that the user should read before it starts.
        rate: Rate that matches the noise, 0 to 1.
        judge: Maker of the figures where there is no truth; None for pairs.
    """

    kind: str
    settings: FinetuneSettings
    train: TrainSettings
    data: InMemoryData
    goal: Goal
    figures: Figures
    images: dict[str, dict[str, str]]
    remarks: tuple[str, ...]
    rate: float
    judge: Judge | None = None


@dataclass(frozen=True)
class PreparedImages:
    """The noisy images of a run: planes, or rows of planes, to learn from and held out, counts.

    Noise and normalisation are those of all of them, the rate, 0 to 1, is the one that matches the noise, and
    remarks are sentences on what was noticed.
    """

    learned: list[NDArray]
    held_out: list[NDArray]
    noise: NoiseModel
    normalization: Normalization
    rate: float
    remarks: tuple[str, ...]


def for_images(settings: Settings, images: Planes) -> Settings:
    """Settings that name the model of the noisy images where they leave it to the kind of the image."""
    if settings.model != DEFAULT or not images.of_pictures:
        return settings
    return settings.model_copy(update={"model": picture_model()})


def start_network(plan: Plan, device: str) -> RdpNetwork:
    """The network to start from, with the decoders of the plan, so that both have the same figures.

    Without a realism decoder its fidelity decoder is compared in its place.
    """
    start = find(plan.settings.model)
    config, tensors = start.card.network, read_tensors(start.folder / "model.safetensors")
    tensors = with_realism(tensors) if plan.train.network.realism else without(REALISM, tensors)
    tensors = without(FLOW, tensors)  # which would be left behind
    config = config.model_copy(update={"realism": plan.train.network.realism, "flow": False})
    return build_network(config, tensors).to(device)


def prepare(images: Planes, settings: FinetuneSettings, codec: Codec) -> PreparedImages:
    """Hold a part of the noisy images out, and measure all of them.

    Raises:
        ValueError: If an image is too small to be split.
    """
    planes, split = [filled(plane) for plane in images.planes], hold_out(images, settings.seed)
    parts = (cut_parts(planes, side) for side in (split.learned, split.held_out))
    return measure(images, settings, codec, *parts)


def measure(
    images: Planes, settings: FinetuneSettings, codec: Codec, learned: list[NDArray], held_out: list[NDArray]
) -> PreparedImages:
    """Measure noise, normalisation and rate of noisy images, whose split (planes in counts) is given."""
    planes = [filled(plane) for plane in images.planes]
    noise = estimate_noise(planes)
    normalization = codec.fit(planes, noise)
    remarks = list(noise.notes)
    if images.left_out:
        remarks.append(f"{images.left_out} planes are left out, {len(images)} are enough")
    if isinstance(settings.rate, str):
        windows, compact = [p[:_RATE_WINDOW, :_RATE_WINDOW] for p in learned[:3]], settings.rate == "compact"
        chosen = choose_rate(Trial(codec, windows, normalization), compact=compact)
        rate = chosen.rate
        remarks += [chosen.message] if chosen.message else []
    else:
        rate = settings.rate
    return PreparedImages(learned, held_out, noise, normalization, rate, tuple(remarks))


def adapt_stage(settings: FinetuneSettings, rate: float, decoder: str) -> dict[str, Any]:
    """Fields of an `AdaptStage` of a decoder: those that the settings of a run without pairs have too."""
    given = settings.model_dump(include=set(AdaptStage.model_fields))
    return given | {"kind": "adapt", "rate": rate, "decoder": decoder}


def train_settings(
    settings: FinetuneSettings,
    codec: Codec,
    network: NetworkConfig,
    sources: Sequence[SourceSettings],
    stages: Sequence[dict[str, Any]],
) -> TrainSettings:
    """Settings of the trainer for the new network, from those of the run and the fields of its stages."""
    return TrainSettings(
        name=f"{codec.card.name}-tuned",
        network=network.model_copy(update={"flow": False}),
        sources=tuple(sources),
        stages=tuple(stages),
        batch=settings.batch,
        crop=settings.crop,
        counts_share=0.0 if stages[0]["kind"] == "adapt" else 0.5,
        validate_every=settings.validate_every,
        start_from=str((model_folder(settings.model) / "model.safetensors").resolve()),
        seed=settings.seed,
        threads=settings.threads,
    )


def fingerprints(**given: Planes) -> dict[str, dict[str, str]]:
    """Names and fingerprints of the planes of each argument."""
    return {
        name: dict(zip(planes.names, planes.fingerprints(), strict=True)) for name, planes in given.items()
    }
