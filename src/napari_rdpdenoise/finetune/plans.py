"""From the user's images and settings to a run of the trainer: what is learned, held out and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec, Normalization, load_model
from napari_rdpdenoise.codec.autorate import choose_rate
from napari_rdpdenoise.codec.library import MODELS_FOLDER, model_folder
from napari_rdpdenoise.codec.normalization import MAX_RANGE, fit_normalization
from napari_rdpdenoise.finetune.guard import Goal
from napari_rdpdenoise.finetune.images import Planes, filled, refuse_constant, take_planes
from napari_rdpdenoise.finetune.in_memory import (
    InMemoryData,
    PairSource,
    SelfSource,
    denoised_pairs,
)
from napari_rdpdenoise.finetune.judge import Judge
from napari_rdpdenoise.finetune.pairing import MatchedPair, match_pairs
from napari_rdpdenoise.finetune.references import check_references
from napari_rdpdenoise.finetune.settings import (
    FinetuneSettings,
    PairsSettings,
    UnpairedSettings,
    ZeroShotSettings,
)
from napari_rdpdenoise.finetune.simulated import SimulatedJudge, SimulatedSource
from napari_rdpdenoise.finetune.split import cut_parts, hold_out, hold_out_pairs, hold_out_references
from napari_rdpdenoise.metrics.errors import MetricUnavailable
from napari_rdpdenoise.metrics.perceptual import load_lpips
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.noise import NoiseModel, estimate_noise, shares_noise
from napari_rdpdenoise.train.data.batches import ValidationImage
from napari_rdpdenoise.train.data.sources import Pair
from napari_rdpdenoise.train.settings import SourceSettings, TrainSettings
from napari_rdpdenoise.train.validation import validate

_RATE_WINDOW = 512  # px of a plane that the rate is chosen on
_MIXED = 4.0  # pairs to one clean image, strategies CN and Cn.8
_SIMILAR = 0.8  # least MS-SSIM of a crop, strategy Cn.8

_TEXTURE: Goal = "texture"
_LPIPS: Goal = "lpips"

Figures = Callable[[RdpNetwork, dict[str, float]], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start.

    Attributes:
        kind: "unpaired", "pairs" or "zeroshot".
        settings: as the user gave them.
        train: the same for the trainer.
        data: what is learned.
        goal: by which the guard judges.
        figures: of a network, given its scores on held-out pairs.
        images: names and fingerprints by argument, for the card.
        remarks: what the user should know before it starts.
        rate: Rate that matches the noise, 0 to 1.
        judge: whose figures these are, where there is no truth; None for pairs.
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
    """The noisy images of a run, split, with noise, normalisation and rate."""

    learned: list[NDArray]
    judged: list[NDArray]
    noise: NoiseModel
    normalization: Normalization
    rate: float
    remarks: tuple[str, ...]


def plan_unpaired(noisy: Any, references: Any, settings: UnpairedSettings, device: str = "cpu") -> Plan:
    """Plan for noisy images and clean ones of other places.

    Raises:
        ValueError: if no reference is of use, or the images cannot be split.
    """
    images, clean = take_planes(noisy, "noisy"), take_planes(references, "references")
    refuse_constant(images, "noisy")
    report = check_references(clean, images, settings.crop)
    codec = load_model(settings.model, device)
    split = _split(images, settings, codec)
    pairs, judged = (
        denoised_pairs(part, split.noise, split.normalization, codec, split.rate)
        for part in (split.learned, split.judged)
    )
    learned, kept = hold_out_references(clean, report.usable, settings.crop, settings.seed)
    unseen = kept or learned
    why = _without_lpips()
    train = _train_unpaired(settings, codec, split.rate, without_lpips=why is not None)
    source = train.sources[0]
    data = InMemoryData(
        train, [SelfSource(source, pairs)], (), learned, SimulatedSource(source, learned, pairs)
    )
    remarks = (*split.remarks, *(f"left out: {reason}" for reason in report.refused), *report.remarks)
    judge = Judge(split.judged, split.normalization, split.rate, "realism", unseen if why else ())
    figures, goal = _judged(judge), _TEXTURE
    if kept is None:
        remarks = (*remarks, f"judged by references that it also learns from: there are only {len(learned)}")
    if why:
        remarks = (*remarks, f"no simulated exposures, and textures are compared roughly: {why}")
    else:
        exposures = SimulatedSource(source, unseen, judged)
        figures = _judged(judge, SimulatedJudge(exposures, split.normalization, split.rate))
        goal = _LPIPS
    listed = _images(noisy=images, references=clean)
    return Plan("unpaired", settings, train, data, goal, figures, listed, remarks, split.rate, judge)


def _train_unpaired(
    settings: UnpairedSettings, codec: Codec, rate: float, *, without_lpips: bool
) -> TrainSettings:
    taken = {"form", "perception", "critic_steps", "critic_alone", "gradient_penalty", "target"}
    taken |= {"simulated", "pattern"}
    stage = _adapt(settings, rate) | {"decoder": "realism", **settings.model_dump(include=taken)}
    if settings.encoder == "trained":  # its fidelity decoder is no fixed measure
        stage |= {"learns": "all", "simulated": 0.0}
        stage["target"] = "recorrupted" if settings.target == "decoded" else settings.target
    if without_lpips:
        stage["simulated"] = 0.0
    channels = codec.card.network.grain_channels or settings.grain
    network = codec.card.network.model_copy(update={"realism": True, "grain_channels": channels})
    return _train(settings, codec, network, [SourceSettings(kind="self", folder="noisy")], [stage])


def plan_zeroshot(noisy: Any, settings: ZeroShotSettings, device: str = "cpu") -> Plan:
    """Plan for noisy images alone.

    Raises:
        ValueError: if the images are constant or cannot be split, or neighbouring pixels share their noise:
            it would be taken for structure, in training and in the verdict.
    """
    images = take_planes(noisy, "noisy")
    refuse_constant(images, "noisy")
    codec = load_model(settings.model, device)
    split = _split(images, settings, codec)
    if shares_noise(split.noise):
        raise ValueError(
            f"noisy: expected noise of its own in every pixel, found that {split.noise.notes[-1]}; noisy "
            "images alone cannot teach what is noise then: give raw images as the camera made them, or use "
            "finetune pairs or unpaired"
        )
    keeps = settings.learns == "decoder" and codec.card.realism
    network = codec.card.network.model_copy(update={"realism": keeps})
    stage = _adapt(settings, split.rate) | {
        "decoder": "fidelity",
        **settings.model_dump(include={"learns", "target", "price"}),
    }
    train = _train(settings, codec, network, [SourceSettings(kind="self", folder="noisy")], [stage])
    pairs = denoised_pairs(split.learned, split.noise, split.normalization, codec, split.rate)
    data = InMemoryData(train, [SelfSource(train.sources[0], pairs)])
    judge = Judge(split.judged, split.normalization, split.rate, "fidelity")
    figures, listed, remarks = _judged(judge), _images(noisy=images), split.remarks
    if codec.card.realism and not keeps:
        why = f"with learns {settings.learns} it would be given latents that are new to it"
        remarks = (*remarks, f"the realism decoder is left out: {why}; learns decoder keeps it")
    return Plan("zeroshot", settings, train, data, "error", figures, listed, remarks, split.rate, judge)


def plan_pairs(noisy: Any, partners: Any, settings: PairsSettings, device: str = "cpu") -> Plan:
    """Plan for noisy images with partners.

    Raises:
        ValueError: if two images are no pair, or the strategy needs clean partners and they are noisy.
    """
    if settings.partner == "noisy" and settings.strategy in ("CN", "Cn.8"):
        raise ValueError(
            f"strategy: expected N or UD with noisy partners, found {settings.strategy}, which learns to "
            "keep clean images as they are; give clean partners or strategy N"
        )
    images, others = (take_planes(i, n, thin=False) for i, n in ((noisy, "noisy"), (partners, "partners")))
    refuse_constant(images, "noisy")
    matched, remarks = match_pairs(images, others)
    codec = load_model(settings.model, device)
    learned, judged = hold_out_pairs(images, others, matched, settings.seed)
    split = _measured(images, settings, codec, *([pair.noisy for pair in side] for side in (learned, judged)))
    sources = _pair_sources(settings, learned, split, codec)
    stages = [{"kind": "all-rates", "steps": settings.steps, "warm_up": 20, "ema": 0.98, "final_rate": 0.1,
               "learning_rate": settings.learning_rate}]  # fmt: skip
    said: tuple[str, ...] = ()
    realism = codec.card.realism and settings.realism_steps > 0
    if codec.card.realism and not realism:
        said = ("the realism decoder is left out: realism_steps is 0",)
    if realism and (why := _without_lpips()):
        realism, said = False, (f"the realism decoder is left out: {why}",)
    if realism:
        stages.append({"kind": "realism", "steps": settings.realism_steps, "warm_up": 20, "ema": 0.98,
                       "lpips": 8.0, "adversarial": 0.0})  # fmt: skip
    network = codec.card.network.model_copy(update={"realism": realism})
    train = _train(settings, codec, network, [source.settings for source in sources], stages)
    held = [
        ValidationImage("pairs", pair.noisy.astype(np.float32), pair.partner, split.normalization)
        for pair in judged[:8]
    ]
    data = InMemoryData(train, sources, held)
    listed = _images(noisy=images, partners=others)
    remarks = (*split.remarks, *remarks, *said)
    return Plan(
        "pairs", settings, train, data, "pairs", lambda _n, scores: scores, listed, remarks, split.rate
    )


def start_figures(plan: Plan, network: RdpNetwork) -> dict[str, float]:
    """Figures of the model that the run starts from."""
    return plan.figures(network, validate(network, plan.data.validation()))


def _judged(*judges: Judge | SimulatedJudge) -> Figures:
    def figures(network: RdpNetwork, _scores: dict[str, float]) -> dict[str, float]:
        return {name: value for judge in judges for name, value in judge.figures(network).items()}

    return figures


def _split(images: Planes, settings: FinetuneSettings, codec: Codec) -> PreparedImages:
    planes, split = [filled(plane) for plane in images.planes], hold_out(images, settings.seed)
    return _measured(
        images, settings, codec, cut_parts(planes, split.learned), cut_parts(planes, split.judged)
    )


def _measured(
    images: Planes, settings: FinetuneSettings, codec: Codec, learned: list[NDArray], judged: list[NDArray]
) -> PreparedImages:
    planes = [filled(plane) for plane in images.planes]
    noise = estimate_noise(planes)
    normalization = fit_normalization(planes, noise)
    remarks = list(noise.notes)
    if images.left_out:
        remarks.append(f"{images.left_out} planes are left out, {len(images)} are enough")
    if settings.rate == "auto":
        chosen = choose_rate(codec, [p[:_RATE_WINDOW, :_RATE_WINDOW] for p in learned[:3]], normalization)
        rate = chosen.rate
        remarks += [chosen.message] if chosen.message else []
    else:
        rate = settings.rate
    return PreparedImages(learned, judged, noise, normalization, rate, tuple(remarks))


def _pair_sources(
    settings: PairsSettings, learned: Sequence[MatchedPair], split: PreparedImages, codec: Codec
) -> list[PairSource]:
    noise, mixed = split.noise, settings.strategy in ("CN", "Cn.8")
    least = _SIMILAR if settings.strategy == "Cn.8" else None
    kind = SourceSettings(
        kind="pairs",
        folder="noisy",
        clean_folder="partners",
        weight=_MIXED if mixed else 1.0,
        min_ms_ssim=least,
    )
    again = None
    if settings.strategy == "UD" or settings.partner == "noisy":
        pairs = denoised_pairs([p.noisy for p in learned], noise, split.normalization, codec, 1.0)
        pairs = [Pair(p.noisy, p.clean, p.noise) for p in pairs]
        again = [p.partner for p in learned] if settings.strategy != "UD" else None
    else:
        pairs = [Pair(p.noisy, p.partner, noise) for p in learned]
    sources = [PairSource(kind, pairs, again)]
    if mixed:
        sources.append(PairSource(SourceSettings(kind="identity", folder="partners"), _identities(learned)))
    return sources


def _identities(learned: Sequence[MatchedPair]) -> list[Pair]:
    found = []
    for pair in learned:
        noise = estimate_noise([pair.partner])
        scale = fit_normalization([pair.partner], noise).scale
        if scale < 1:
            found.append(Pair(pair.partner, pair.partner, noise, scale))
    if not found:
        raise ValueError(
            f"strategy: CN and Cn.8 need clean partners whose range exceeds {MAX_RANGE:.0f} standard "
            f"deviations of their noise, found none among {len(learned)}; use strategy N"
        )
    return found


def _adapt(settings: FinetuneSettings, rate: float) -> dict[str, Any]:
    return {
        "kind": "adapt", "steps": settings.steps, "learning_rate": settings.learning_rate, "rate": rate
    }  # fmt: skip


def _train(
    settings: FinetuneSettings,
    codec: Codec,
    network: Any,
    sources: Sequence[SourceSettings],
    stages: list[dict],
) -> TrainSettings:
    return TrainSettings(
        name=f"{codec.card.name}-tuned",
        network=network,
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


def _without_lpips() -> str | None:
    try:
        load_lpips("alex")
    except MetricUnavailable as error:
        return str(error)
    return None


def _images(**given: Planes) -> dict[str, dict[str, str]]:
    return {
        name: dict(zip(planes.names, planes.fingerprints(), strict=True)) for name, planes in given.items()
    }


def is_shipped(folder: Path) -> bool:
    """Whether a folder is, or lies in, the folder of the shipped models."""
    where = folder.resolve()
    return any(root == where or root in where.parents for root in (MODELS_FOLDER, MODELS_FOLDER.resolve()))
