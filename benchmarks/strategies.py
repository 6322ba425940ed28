"""Which training data make the better codec? Strategies of JDC and ours, with equal steps from equal weights.

    python -m benchmarks.strategies --minutes 4 --threads 2 [--from-scratch] [--only N CN]

N, CN, Cn.8, Cn.6 and UD are those of Brummer and De Vleeschouwer (arXiv 2307.06233) on the real W2S pairs.
All start from the weights of ``--model`` (its realism decoder left out): what is compared is which strategy
keeps or improves a good start, and UD starts at its own teacher; ``--from-scratch`` starts from random
weights. The number of steps is what strategy N does in ``--minutes``, measured once and the same for all.

Scores are of held-out training images, never of the test images: single exposures of W2S fields, simulated
exposures of DSB2018 nuclei, and clean W2S images to themselves (is detail lost where there is no noise?).
Each strategy's scores are kept in ``strategies-kept.json`` when it is done, and not computed again with the
same options.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.common import data_folder, execute, load, load_codec, markdown, parser, save
from napari_rdpdenoise.codec import Codec, fit_normalization
from napari_rdpdenoise.codec.models import build_network, network_tensors
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.train.data.batches import TrainingData, ValidationImage
from napari_rdpdenoise.train.data.camera import Exposure
from napari_rdpdenoise.train.data.images import image_files
from napari_rdpdenoise.train.data.opening import open_source
from napari_rdpdenoise.train.settings import (
    CodecStage,
    NoiseRange,
    SourceSettings,
    TrainSettings,
    load_settings,
)
from napari_rdpdenoise.train.trainer import Trainer
from napari_rdpdenoise.train.validation import validate

KEPT = "strategies-kept.json"  # by the options that decide the scores
START, START_TITLE = "start", "no training: the weights all start from"
SHIPPED = Path(__file__).parents[1] / "models" / "fluo-light" / "train.yaml"
PAIRS = {
    "kind": "pairs",
    "folder": "w2s/noisy",
    "clean_folder": "w2s/clean",
    "weight": 4,
    "hold_out": ("072", "076", "080"),
}
IDENTITY = {"kind": "identity", "folder": "w2s/clean", "hold_out": ("07", "080")}
NUCLEI = {"kind": "clean", "folder": "dsb2018", "hold_out": ("00", "01")}
EXPOSURES = 6  # of each held-out nuclei image, because there are only two
BATCH, CROP = 8, 128  # as in the shipped model's training
CALIBRATION = (3, 12)  # steps that are not timed, and last one that is
SHOWN = (("W2S", 0.6), ("W2S", 1.0), ("DSB2018", 0.6), ("DSB2018", 1.0), ("W2S clean", 1.0))
Sources = tuple[SourceSettings, ...]


def _sources(*given: dict[str, Any]) -> Sources:
    return tuple(SourceSettings.model_validate(one) for one in given)


def _shipped(kinds: tuple[str, ...]) -> Sources:
    return tuple(source for source in load_settings(SHIPPED).sources if source.kind in kinds)


def _with_identity(sources: Sources) -> Sources:
    """JDC's share: one clean image to itself for four pairs."""
    weight = sum(source.weight for source in sources if source.kind == "pairs") / 4
    return (*sources, *_sources({**IDENTITY, "weight": weight}))


def _filtered(least: float) -> Sources:
    return _with_identity(_sources({**PAIRS, "min_ms_ssim": least}))


# Name: what it is, and its sources where the model to be taught by is given
STRATEGIES: dict[str, tuple[str, Callable[[str], Sources]]] = {
    "N": ("W2S pairs", lambda _: _sources(PAIRS)),
    "CN": ("W2S pairs, clean to itself 4 : 1", lambda _: _with_identity(_sources(PAIRS))),
    "Cn.8": ("CN, crops of MS-SSIM 0.8 and more", lambda _: _filtered(0.8)),
    "Cn.6": ("CN, crops of MS-SSIM 0.6 and more", lambda _: _filtered(0.6)),
    "UD": (
        "W2S exposures, targets of the model itself",
        lambda model: _sources({**PAIRS, "kind": "noisy", "clean_folder": None, "teacher": model}),
    ),
    "synthetic": ("clean images, simulated noise", lambda _: _shipped(("clean",))),
    "N + synthetic": (
        "W2S pairs and simulated noise, as in train.yaml",
        lambda _: _shipped(("pairs", "clean")),
    ),
    "CN + synthetic": (
        "the same and clean to itself",
        lambda _: _with_identity(_shipped(("pairs", "clean"))),
    ),
}


class _Unscored(TrainingData):
    """Training data without validation: all strategies are scored on the same images, after training."""

    def validation(self, per_source: int = 4) -> list[ValidationImage]:
        return []


def held_out(root: Path, limit: int | None = None) -> list[ValidationImage]:
    """Images that no strategy trains on, below the training folder; of each kind at most ``limit``."""
    kinds = (("W2S", PAIRS, 1), ("DSB2018", NUCLEI, EXPOSURES), ("W2S clean", IDENTITY, 1))
    images = []
    for title, given, exposures in kinds:
        (settings,) = _sources(given)
        files = image_files(root / settings.folder)
        stems = PAIRS["hold_out"] if title == "W2S clean" else settings.hold_out  # W2S fields in both
        found = _exposures(settings, [f for f in files if f.stem.startswith(stems)], root, exposures)
        for exposure in list(found)[:limit]:
            normalization = fit_normalization([exposure.noisy], estimate_noise([exposure.noisy]))
            images.append(ValidationImage(title, exposure.noisy, exposure.clean, normalization))
    return images


def _exposures(settings: SourceSettings, files: list[Path], root: Path, count: int) -> Iterator[Exposure]:
    source = open_source(settings, files, root, NoiseRange())
    for number, file in enumerate(files):
        for k in range(count):
            exposure = source.held_out(file, np.random.default_rng([number, k]))
            assert exposure is not None  # all three kinds know their truth
            yield exposure


def start_tensors(codec: Codec) -> dict[str, Tensor]:
    """The model's tensors but for its realism and flow decoders, which the strategies do not concern."""
    tensors = network_tensors(codec._network)
    return {name: value for name, value in tensors.items() if not name.startswith(("realism.", "flow."))}


def settings_for(name: str, steps: int, options: argparse.Namespace, start: Path | None) -> TrainSettings:
    """One stage at all rates; ``start`` is a file of weights."""
    rate, warm_up = 1e-3 if start is None else 2e-4, max(1, min(300, steps // 10))
    return TrainSettings(
        name=name,
        network=plain(load_codec(options)),
        sources=STRATEGIES[name][1](options.model),
        stages=(CodecStage(kind="all-rates", steps=steps, learning_rate=rate, warm_up=warm_up, ema=0.99),),
        batch=BATCH,
        crop=CROP,
        validate_every=10**9,
        start_from=None if start is None else str(start),
        threads=options.threads,
    )


def train(
    settings: TrainSettings, root: Path, folder: Path, device: str, first: int = 0
) -> tuple[RdpNetwork, float]:
    """Averaged network, and seconds of a step from the ``first`` step on."""
    trainer = Trainer(settings, _Unscored(settings, root), folder, device)
    seconds = [progress.seconds for progress in trainer.run(report_every=1)]
    assert trainer.loop is not None
    return trainer.loop.average, (seconds[-1] - seconds[first]) / max(1, len(seconds) - 1 - first)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of every strategy; ``--limit`` takes so many steps, and at most as many images of each kind."""
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(
            "images: expected data/train in the folder that RDPDENOISE_DATA names, found none; set it"
        )
    root, codec = folder / "data" / "train", load_codec(options)
    images = held_out(root, options.limit)
    file, key = options.out / KEPT, _terms(options, codec)
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        start = None if options.from_scratch else _write(start_tensors(codec), place / "start.safetensors")
        kept = (load(file) or {}).get(key)
        if kept is None:
            kept = {"steps": options.limit or _steps_for(options, root, place), "runs": {}}
            if start is not None:
                network = build_network(plain(codec), start_tensors(codec))
                kept["runs"][START] = {"scores": validate(network, images)}
        for name in (n for n in options.only or STRATEGIES if n not in kept["runs"]):
            settings = settings_for(name, kept["steps"], options, start)
            network, seconds = train(settings, root, place / name, options.device)
            scores = validate(network, images)
            kept["runs"][name] = {"scores": scores, "seconds_per_step": round(seconds, 4)}
            save(file, {**(load(file) or {}), key: kept})
            print(f"strategies: {name} done, {seconds:.2f} s a step", flush=True)
    counts = {title: sum(i.source == title for i in images) for title in dict.fromkeys(t for t, _ in SHOWN)}
    return {**json.loads(key), **kept, "images": counts}


def _terms(options: argparse.Namespace, codec: Codec) -> str:
    """What decides the scores, as a key."""
    given = {
        name: getattr(options, name) for name in ("minutes", "threads", "device", "limit", "from_scratch")
    }
    return json.dumps({"model_digest": codec.digest.hex()[:8], **given}, sort_keys=True)


def _steps_for(options: argparse.Namespace, root: Path, place: Path) -> int:
    """Steps of strategy N in the minutes."""
    first, last = CALIBRATION
    _, seconds = train(settings_for("N", last, options, None), root, place / "timed", options.device, first)
    return max(last, int(60 * options.minutes / seconds))


def plain(codec: Codec) -> NetworkConfig:
    """Shape of the codec alone, with the decoder of lowest error."""
    return codec.card.network.model_copy(update={"realism": False, "flow": False})


def _write(tensors: dict[str, Tensor], file: Path) -> Path:
    from safetensors.torch import save_file

    save_file(tensors, file)
    return file


def table(record: dict[str, Any]) -> str:
    """PSNR and bpp of every strategy that is done."""
    result = record["result"]
    head = ["Training data", *(f"{title}, rate {rate}" for title, rate in SHOWN), "s per step"]
    titles = {START: START_TITLE, **{name: f"{name}: {what}" for name, (what, _) in STRATEGIES.items()}}
    rows = []
    for name in (n for n in titles if n in result["runs"]):
        run = result["runs"][name]
        cells = (_cell(run["scores"], title, rate) for title, rate in SHOWN)
        rows.append([titles[name], *cells, run.get("seconds_per_step", "")])
    start = "random weights" if result["from_scratch"] else "the model's weights"
    counts = ", ".join(f"{count} of {title}" for title, count in result["images"].items())
    budget = (
        f"--limit {result['limit']}" if result["limit"] else f"{result['minutes']:g} minutes of strategy N"
    )
    return (
        f"PSNR in dB / bits per pixel, of held-out training images ({counts}; upper left 384 px) after "
        f"{result['steps']} steps from {start} ({budget}). W2S are real single exposures, DSB2018 simulated "
        f"ones, W2S clean are means of 400 exposures against themselves.\n\n{markdown(head, rows)}"
    )


def _cell(scores: dict[str, float], title: str, rate: float) -> str:
    return f"{scores[f'{title} psnr@{rate}']:.2f} / {scores[f'{title} bpp@{rate}']:.3f}"


def main() -> None:
    """Run what the command line says."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=4.0, help="of training for each strategy")
    options.add_argument("--from-scratch", action="store_true", help="from random weights")
    options.add_argument(
        "--only", nargs="+", choices=tuple(STRATEGIES), help="these strategies; none for all"
    )
    given = options.parse_args()
    execute("strategies", measure, given)
    print(table(load(given.out / "strategies.json")))


if __name__ == "__main__":
    main()
