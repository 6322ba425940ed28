"""Three planners: from the user's images and settings to what is learned, held out and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_rdpdenoise.codec import Codec, load_model
from napari_rdpdenoise.codec.normalization import MAX_RANGE, fit_normalization
from napari_rdpdenoise.finetune.guard import Goal
from napari_rdpdenoise.finetune.images import refuse_constant, take_planes
from napari_rdpdenoise.finetune.in_memory import InMemoryData, PairSource, SelfSource, denoised_pairs
from napari_rdpdenoise.finetune.judge import Judge
from napari_rdpdenoise.finetune.pairing import MatchedPair, match_pairs
from napari_rdpdenoise.finetune.plan import (
    Figures,
    Plan,
    PreparedImages,
    adapt_stage,
    fingerprints,
    for_images,
    measure,
    prepare,
    train_settings,
)
from napari_rdpdenoise.finetune.references import check_references
from napari_rdpdenoise.finetune.settings import PairsSettings, UnpairedSettings, ZeroShotSettings
from napari_rdpdenoise.finetune.simulated import SimulatedJudge, SimulatedSource
from napari_rdpdenoise.finetune.split import hold_out_pairs, hold_out_references
from napari_rdpdenoise.metrics.errors import MetricUnavailable
from napari_rdpdenoise.metrics.perceptual import load_lpips
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.noise import estimate_noise, shares_noise
from napari_rdpdenoise.train.data.batches import ValidationImage
from napari_rdpdenoise.train.data.sources import Pair
from napari_rdpdenoise.train.settings import SourceSettings, TrainSettings

_MIXED = 4.0  # pairs to one clean image, strategies CN and Cn.8
_SIMILAR = 0.8  # least MS-SSIM of a crop, strategy Cn.8


def plan_unpaired(noisy: Any, references: Any, settings: UnpairedSettings, device: str = "cpu") -> Plan:
    """Plan for noisy images and clean ones of other places, given as `run.finetune_unpaired` takes them.

    Raises:
        ValueError: If no reference is of use, or the images cannot be split.
    """
    images, clean = take_planes(noisy, "noisy"), take_planes(references, "references")
    refuse_constant(images, "noisy")
    settings = for_images(settings, images)
    report = check_references(clean, images, settings.crop)
    codec = load_model(settings.model, device)
    prepared = prepare(images, settings, codec)
    pairs, held_out = (
        denoised_pairs(part, prepared.noise, prepared.normalization, codec, prepared.rate)
        for part in (prepared.learned, prepared.held_out)
    )
    learned, kept = hold_out_references(clean, report.usable, settings.crop, settings.seed)
    unseen = kept or learned
    why = _without_lpips()
    train = _train_unpaired(settings, codec, prepared.rate, without_lpips=why is not None)
    source = train.sources[0]
    data = InMemoryData(
        train, [SelfSource(source, pairs)], (), learned, SimulatedSource(source, learned, pairs)
    )
    remarks = [*prepared.remarks, *(f"left out: {reason}" for reason in report.refused), *report.remarks]
    judge = Judge(prepared.held_out, prepared.normalization, prepared.rate, "realism", unseen if why else ())
    figures = _figures_of(judge)
    if kept is None:
        few = f"there are only {len(learned)}"
        remarks.append(f"the held-out score is of references that it also learns from: {few}")
    if why:
        remarks.append(f"no simulated exposures, and textures are compared roughly: {why}")
    else:
        exposures = SimulatedSource(source, unseen, held_out)
        figures = _figures_of(judge, SimulatedJudge(exposures, prepared.normalization, prepared.rate))
    goal: Goal = "texture" if why else "lpips"
    listed = fingerprints(noisy=images, references=clean)
    return Plan(
        "unpaired", settings, train, data, goal, figures, listed, tuple(remarks), prepared.rate, judge
    )


def _train_unpaired(
    settings: UnpairedSettings, codec: Codec, rate: float, *, without_lpips: bool
) -> TrainSettings:
    stage = adapt_stage(settings, rate, "realism")
    if settings.encoder == "trained":  # its fidelity decoder is no fixed measure
        stage |= {"learns": "all", "simulated": 0.0}
        stage["target"] = "recorrupted" if settings.target == "decoded" else settings.target
    if without_lpips:
        stage["simulated"] = 0.0
    channels = codec.card.network.grain_channels or settings.grain
    network = codec.card.network.model_copy(update={"realism": True, "grain_channels": channels})
    return train_settings(settings, codec, network, [SourceSettings(kind="self", folder="noisy")], [stage])


def plan_zeroshot(noisy: Any, settings: ZeroShotSettings, device: str = "cpu") -> Plan:
    """Plan for noisy images alone, given as `run.finetune_zeroshot` takes them.

    Raises:
        ValueError: If the images are constant or cannot be split, or neighbouring pixels share their noise:
            it would be taken for structure, in training and in the verdict.
    """
    images = take_planes(noisy, "noisy")
    refuse_constant(images, "noisy")
    settings = for_images(settings, images)
    codec = load_model(settings.model, device)
    prepared = prepare(images, settings, codec)
    if shares_noise(prepared.noise):
        raise ValueError(
            f"noisy: expected noise of its own in every pixel, found that {prepared.noise.notes[-1]}; noisy "
            "images alone cannot teach what is noise then: give raw images as the camera made them, or use "
            "finetune pairs or unpaired"
        )
    keeps = settings.learns == "decoder" and codec.card.network.realism
    network = codec.card.network.model_copy(update={"realism": keeps})
    stage = adapt_stage(settings, prepared.rate, "fidelity")
    train = train_settings(settings, codec, network, [SourceSettings(kind="self", folder="noisy")], [stage])
    pairs = denoised_pairs(prepared.learned, prepared.noise, prepared.normalization, codec, prepared.rate)
    data = InMemoryData(train, [SelfSource(train.sources[0], pairs)])
    judge = Judge(prepared.held_out, prepared.normalization, prepared.rate, "fidelity")
    figures, listed, remarks = _figures_of(judge), fingerprints(noisy=images), prepared.remarks
    if codec.card.network.realism and not keeps:
        why = f"with learns {settings.learns} it would be given latents that are new to it"
        remarks = (*remarks, f"the realism decoder is left out: {why}; learns decoder keeps it")
    return Plan("zeroshot", settings, train, data, "error", figures, listed, remarks, prepared.rate, judge)


def plan_pairs(noisy: Any, partners: Any, settings: PairsSettings, device: str = "cpu") -> Plan:
    """Plan for noisy images with partners, given as `run.finetune_pairs` takes them.

    Raises:
        ValueError: If two images are no pair, or the strategy needs clean partners and they are noisy.
    """
    if settings.partner == "noisy" and settings.strategy in ("CN", "Cn.8"):
        raise ValueError(
            f"strategy: expected N or UD with noisy partners, found {settings.strategy}, which learns to "
            "keep clean images as they are; give clean partners or strategy N"
        )
    images, others = (take_planes(i, n, thin=False) for i, n in ((noisy, "noisy"), (partners, "partners")))
    refuse_constant(images, "noisy")
    settings = for_images(settings, images)
    matched, remarks = match_pairs(images, others)
    codec = load_model(settings.model, device)
    learned, held_out = hold_out_pairs(images, others, matched, settings.seed)
    parts = ([pair.noisy for pair in side] for side in (learned, held_out))
    prepared = measure(images, settings, codec, *parts)
    sources = _pair_sources(settings, learned, prepared, codec)
    stages = [{"kind": "all-rates", "steps": settings.steps, "warm_up": 20, "ema": 0.98, "final_rate": 0.1,
               "learning_rate": settings.learning_rate}]  # fmt: skip
    realism = codec.card.network.realism
    if realism and (why := _without_lpips() if settings.realism_steps else "realism_steps is 0"):
        realism, remarks = False, (*remarks, f"the realism decoder is left out: {why}")
    if realism:
        stages.append({"kind": "realism", "steps": settings.realism_steps, "warm_up": 20, "ema": 0.98,
                       "lpips": 8.0, "adversarial": 0.0})  # fmt: skip
    network = codec.card.network.model_copy(update={"realism": realism})
    train = train_settings(settings, codec, network, [source.settings for source in sources], stages)
    held = [
        ValidationImage("pairs", pair.noisy.astype(np.float32), pair.partner, prepared.normalization)
        for pair in held_out[:8]
    ]
    data = InMemoryData(train, sources, held)
    listed = fingerprints(noisy=images, partners=others)
    remarks = (*prepared.remarks, *remarks)
    return Plan(
        "pairs", settings, train, data, "pairs", lambda _n, scores: scores, listed, remarks, prepared.rate
    )


def _figures_of(*judges: Judge | SimulatedJudge) -> Figures:
    def figures(network: RdpNetwork, _scores: dict[str, float]) -> dict[str, float]:
        return {name: value for judge in judges for name, value in judge.figures(network).items()}

    return figures


def _pair_sources(
    settings: PairsSettings, learned: Sequence[MatchedPair], prepared: PreparedImages, codec: Codec
) -> list[PairSource]:
    noise, mixed = prepared.noise, settings.strategy in ("CN", "Cn.8")
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
        pairs = denoised_pairs([p.noisy for p in learned], noise, prepared.normalization, codec, 1.0)
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


def _without_lpips() -> str | None:
    try:
        load_lpips("alex")
    except MetricUnavailable as error:
        return str(error)
    return None
