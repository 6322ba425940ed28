"""What to keep of a training, when to stop it, and whether the result is better than the start at all.

Rows of figures (see ``judge``) come in at every validation, first those of the model to start from.
The best row's weights are kept. A run ends early where training has collapsed or stopped getting better. The
verdict compares the best with the start, in plain words. An estimated error must fall by more than the noise
of its measurement: a held-out strip is small, and the best of several rows is chosen by what decides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.torch import save_file

from napari_rdpdenoise.codec.models import network_tensors
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.finetune.figures import (
    error_loss,
    exposed_loss,
    fidelity_loss,
    pairs_score,
    pairs_words,
    side_effects,
    size_of_error,
)
from napari_rdpdenoise.nn.network import RdpNetwork

Goal = Literal["error", "texture", "lpips", "pairs"]

_DRIFT = 1.0  # percent of the mean intensity, beyond the start's
_BACKGROUND = 0.15  # noise standard deviations, beyond the start's
_DIVERGED = 25.0  # times the median of the critic's distances so far
_EARLY = 3  # rows before which the critic is not judged
_LOSS_DB = 0.5  # of the estimated error, for texture and lpips
_LATTICE = 0.05  # share of the added texture, beyond the start's
_GAIN = {"error": 0.03, "texture": 0.05, "lpips": 0.05, "pairs": 0.05}  # least gain: share, but of pairs dB
_SURE = 2.0  # standard errors that an estimated error must fall by
_NAMES = {
    "error": "estimated error",
    "texture": "distance to the references' texture",
    "lpips": "LPIPS on simulated exposures of references",
}


@dataclass(frozen=True)
class Row:
    """Figures after a step.

    Attributes:
        step: Step of the training; 0 for the start.
        figures: Figures by name, see ``judge``.
        values: Values of the training step, such as its losses, by name.
        blocks: Estimated error by block of the held-out images, noise variances.
    """

    step: int
    figures: dict[str, float]
    values: dict[str, float]
    blocks: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """Whether the fine-tuned model is better than the one that the run started from.

    Attributes:
        better: Whether to use it.
        step: Step of the best weights; 0 for the start.
        words: Reasons, in plain words with numbers.
        before: Figures of the start.
        after: Figures of the best.
    """

    better: bool
    step: int
    words: tuple[str, ...]
    before: dict[str, float]
    after: dict[str, float]


class Guard:
    """Keeps rows and the best weights in a folder, so that a killed run goes on with them.

    Args:
        folder: Folder of the run.
        goal: Figure that decides: "error" (estimated error falls), "lpips" or "texture" (distance from the
            truth of simulated exposures, or from references, falls at an error that may rise by half a
            decibel), or "pairs" (PSNR against held-out partners rises).
        patience: Number of rows without a better one after which the run ends.
    """

    def __init__(self, folder: Path, goal: Goal, patience: int = 6) -> None:
        self.folder, self.goal, self.patience = folder, goal, patience
        self.rows: list[Row] = []
        if self._file.is_file():
            try:
                kept = json.loads(self._file.read_text(encoding="utf-8"))
                self.rows = [Row(**row) for row in kept["rows"]]
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"out: expected the rows of a run in {self._file}, found another file or a part of one "
                    f"({error}); give another folder, or delete this one to begin anew"
                ) from None

    def begin(self, figures: dict[str, float], blocks: Sequence[float] = ()) -> None:
        """Take the start's figures, unless an earlier run has."""
        if not self.rows:
            self.rows = [Row(0, figures, {}, list(blocks))]
            self._write()

    def add(
        self,
        step: int,
        figures: dict[str, float],
        values: dict[str, float],
        network: RdpNetwork,
        blocks: Sequence[float] = (),
    ) -> None:
        """Take a row, and the weights if they are the best so far; a killed run's later rows are dropped.

        ``figures``, ``values`` and ``blocks`` are as in `Row`; no blocks where they are not known.
        """
        self.rows = [row for row in self.rows if row.step < step]
        self.rows.append(Row(step, figures, values, list(blocks)))
        best = self.best.step == step
        if best:
            with atomic(self._weights(step)) as fresh:
                save_file(network_tensors(network), fresh)
        self._write()
        if best:  # only now that no row asks for them
            for old in set(self.folder.glob("best-*.safetensors")) - {self._weights(step)}:
                old.unlink()

    @property
    def best(self) -> Row:
        """The best row that may be used; the start where none is better."""
        usable = [row for row in self.rows if row.step == 0 or not self._objections(row)]
        return min(usable, key=lambda row: (self._score(row), row.step))

    @property
    def weights(self) -> Path | None:
        """File of the best weights; None for the start's."""
        path = self._weights(self.best.step)
        return path if self.best.step and path.is_file() else None

    def stop(self) -> str | None:
        """Why the run should end now; None to go on."""
        last, trained = self.rows[-1], [row for row in self.rows if row.step]
        if not trained:
            return None
        if not all(map(math.isfinite, [*last.figures.values(), *last.values.values()])):
            return "training diverged: a figure is not a finite number"
        if reason := self._diverged(trained):
            return reason
        if len(trained) >= 2 and all(self._collapsed(row) for row in trained[-2:]):
            return f"training collapsed: {self._collapsed(last)}"
        since = sum(row.step > self.best.step for row in trained)
        if since >= self.patience:
            return f"no better since step {self.best.step}"
        return None

    def verdict(self) -> Verdict:
        """Compare the best with the start."""
        before, best = self.rows[0], self.best
        gain, doubt = self._gain(best), self._doubt(best)
        better = best.step > 0 and gain >= _GAIN[self.goal] and gain > doubt
        words = [self._sentence(best, better)]
        if best.step:
            words += side_effects(before.figures, best.figures, of_texture=self._of_texture)
        refused = [reason for row in self.rows if row.step for reason in self._objections(row)]
        if not better and refused:
            words.append(f"steps were refused because {refused[-1]}")
        return Verdict(better, best.step if better else 0, tuple(words), before.figures, best.figures)

    def _score(self, row: Row) -> float:
        if not all(map(math.isfinite, row.figures.values())):
            return math.inf
        return -pairs_score(row.figures) if self.goal == "pairs" else row.figures[self.goal]

    def _gain(self, row: Row) -> float:
        return (self._score(self.rows[0]) - self._score(row)) / self._scale

    @property
    def _of_texture(self) -> bool:
        return self.goal in ("texture", "lpips")

    @property
    def _scale(self) -> float:
        """What a gain of 1 is: the size of the start's score; of pairs 1 dB."""
        if self.goal == "pairs":
            return 1.0
        if self.goal == "error":
            return size_of_error(self.rows[0].figures)
        return max(self._score(self.rows[0]), 1e-6)

    def _doubt(self, row: Row) -> float:
        """A gain that may be the noise of the measurement: 2 standard errors; 0 where that is not known.

        Of the difference to the start block by block, which the noise that both have in common is not in.
        """
        before = self.rows[0].blocks
        if self.goal != "error" or row.step == 0 or not before or len(before) != len(row.blocks):
            return 0.0
        if len(before) < 2:
            return math.inf
        change = np.subtract(row.blocks, before)
        return _SURE * float(change.std(ddof=1)) / math.sqrt(len(change)) / self._scale

    def _objections(self, row: Row) -> list[str]:
        """Why a row's weights must not be used, however good its score is."""
        found = [reason] if (reason := self._collapsed(row)) else []
        if not self._of_texture:
            return found
        start = self.rows[0].figures
        if (more := exposed_loss(start, row.figures)) > _LOSS_DB:
            found.append(f"the error of simulated exposures rose by {more:.2f} dB, more than {_LOSS_DB} dB")
        if row.figures.get("lattice", 0.0) > start.get("lattice", 0.0) + _LATTICE:
            found.append(f"a grid pattern of 4 or 8 px grows in the texture: {row.figures['lattice']:.2f}")
        if (lost := error_loss(start, row.figures)) > _LOSS_DB:
            found.append(f"the estimated error rose by {lost:.2f} dB, more than {_LOSS_DB} dB")
        if (lost := fidelity_loss(start, row.figures)) > _LOSS_DB:
            found.append(
                f"the estimated error at realism 0 rose by {lost:.2f} dB, more than {_LOSS_DB} dB: "
                f"{row.figures['fidelity error']:.4g}, {start['fidelity error']:.4g} before"
            )
        return found

    def _collapsed(self, row: Row) -> str | None:
        start, now = self.rows[0].figures, row.figures
        if not all(map(math.isfinite, now.values())):
            return "a figure is not a finite number"
        drift = abs(now.get("mean", 0.0)) - abs(start.get("mean", 0.0))
        if drift > _DRIFT:
            return f"the mean intensity drifted by {drift:.1f} %"
        grown = now.get("background", 0.0) - start.get("background", 0.0)
        if grown > _BACKGROUND:
            return f"texture of {now['background']:.2f} noise standard deviations grows in flat background"
        return None

    def _diverged(self, trained: list[Row]) -> str | None:
        distances = [abs(row.values["critic"]) for row in trained if row.values.get("critic")]
        if len(distances) <= _EARLY:
            return None
        usual = max(float(np.median(distances[:-1])), 1e-6)
        if distances[-1] <= _DIVERGED * usual:
            return None
        return (
            "the network that tells results from clean images went astray: its distance is "
            f"{distances[-1] / usual:.0f} times the usual one"
        )

    def _sentence(self, best: Row, better: bool) -> str:
        start, size = self._score(self.rows[0]), _GAIN[self.goal]
        if self.goal == "pairs":
            change, least = pairs_words(self.rows[0].figures, best.figures), f"{size:g} dB"
        else:
            percent = round(-100 * self._gain(best))
            share = f"{percent:+d} %" if percent else "no change"
            change = f"{_NAMES[self.goal]} {start:.4g} before, {self._score(best):.4g} after ({share})"
            least = f"{100 * size:.0f} %"
        if doubt := self._doubt(best):
            change = f"{change}, give or take {100 * doubt:.0f} %"
        if better:
            return f"the fine-tuned model is better on held-out data: {change}"
        if best.step and size <= self._gain(best) <= doubt:
            return f"the gain is within the noise of the measurement, the old one is kept: {change}"
        return f"the fine-tuned model is not better by at least {least}, the old one is kept: {change}"

    @property
    def _file(self) -> Path:
        return self.folder / "guard.json"

    def _weights(self, step: int) -> Path:
        return self.folder / f"best-{step:07d}.safetensors"

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(self._file) as fresh:
            fresh.write_text(json.dumps({"rows": [asdict(row) for row in self.rows]}), encoding="utf-8")
