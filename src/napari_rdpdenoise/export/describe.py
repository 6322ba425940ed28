"""The words and the picture of a package: what a BioImage.IO reader is told of the model inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.export.module import Fixed
from napari_rdpdenoise.tiles import GRID, HALO

LEAST = 2 * HALO + GRID  # px
CITE = {
    "10.48550/arXiv.1809.02736": "Minnen, Balle and Toderici, Joint autoregressive and hierarchical priors "
    "for learned image compression, NeurIPS 2018 (the entropy model)",
    "10.48550/arXiv.2003.02012": "Cui et al., G-VAE: a continuously variable rate deep image compression "
    "framework, 2020 (the rates)",
    "10.1109/TIP.2012.2202675": "Makitalo and Foi, Optimal inversion of the generalized Anscombe "
    "transformation for Poisson-Gaussian noise, IEEE TIP 2013 (the units)",
    "10.48550/arXiv.2107.02555": "Freirich, Michaeli and Meir, A theory of the distortion-perception "
    "tradeoff in Wasserstein space, NeurIPS 2021 (realism between 0 and 1)",
}
"""What is cited, by DOI."""


@dataclass(frozen=True)
class Story:
    """What a package says of itself, by its name, the model's card and the values that are fixed in it.

    ``measured`` is whether the sample's noise line was measured, rather than given; ``remarks`` are sentences
    on what was noticed about the sample.
    """

    name: str
    card: ModelCard
    fixed: Fixed
    measured: bool
    remarks: tuple[str, ...] = ()

    def description(self) -> str:
        """In one paragraph, at most 512 characters."""
        text = (
            f"Denoises 2-D microscopy images by learned compression, one plane and channel at a time: raw "
            f"counts in, counts out, for one camera, at rate {self.fixed.rate:.3g} and realism "
            f"{self.fixed.realism:g}. Model {self.card.name}: {self.card.description}"
        )
        return text if len(text) <= 512 else f"{text[:509]}..."

    def config(self) -> dict[str, Any]:
        """What a program needs to make the same package again."""
        noise, normal = self.fixed.noise, self.fixed.normalization
        return {
            "version": __version__,
            "model": self.card.name,
            "sha256": self.card.sha256,
            "rate": self.fixed.rate,
            "realism": self.fixed.realism,
            "structure": self.fixed.structure,
            "camera": {"gain": noise.gain, "offset": noise.offset, "read_noise": noise.read_noise},
            "normalization": None if normal is None else {"center": normal.center, "scale": normal.scale},
        }

    def readme(self) -> str:
        """The documentation, Markdown."""
        card, noise = self.card, self.fixed.noise
        units = (
            "Centre and scale of the values are fitted to every input by itself. Blocks of one image would "
            "differ slightly: give whole images, or export with a sample."
            if self.fixed.normalization is None
            else "Centre and scale of the values are those of a sample, so blocks of one image agree."
        )
        source = "measured on a sample" if self.measured else "as given at export"
        structure = (
            "What the model would remove that is more than noise goes back from the input."
            if self.fixed.structure
            else "Structure that the model smooths away does not go back from the input (`--structure none`)."
        )
        grain = (
            "- Realism above 0 draws texture that is plausible, not measured. Its random numbers depend on "
            "the place in the input: every block starts them anew.\n"
            if self.fixed.realism > 0
            else ""
        )
        alone = (
            "- The model can use the planes before and after the one it denoises; this package gives it "
            "neither.\n"
            if card.network.planes > 1
            else ""
        )
        return f"""# {self.name}

{self.description()}

Made by napari-rdpdenoise {__version__} from its model `{card.name}` (sha256 {card.sha256}).

## Input and output

- Input `raw`: float32 raw counts, axes batch, channel (1), y, x. Neither rescaled nor background-subtracted.
- Output `denoised`: float32 counts of the same shape. NaN and infinities stay where they are.
- Camera ({source}): gain {noise.gain:.6g} counts per photo-electron, offset {noise.offset:.6g} counts, read
  noise {noise.read_noise:.6g} counts rms. **Images of another camera or gain need an export of their own.**
- {units}
- Rate {self.fixed.rate:.4g} of 0 (strongest denoising) to 1; realism {self.fixed.realism:g} of 0 (lowest
  error) to 1.
- {structure}
- The counts are those of `napari-rdpdenoise denoise --neighbours none` with this camera and rate, within a
  thousandth of the noise, where an image holds no missing or hot pixels and no values that stand for "no
  image": these are looked for there and not here, nor is light far above all the rest spared the model.
{grain}{alone}{"".join(f"- Noticed on the sample: {text}{chr(10)}" for text in self.remarks)}
The module also takes sizes other than those listed. Blocks should overlap by {HALO} px at each edge, as the
halo of the output says.

## Training

```yaml
{_yaml(card.training)}```

## Validation

The test input is simulated light seen by this camera, the test output is what this module makes of it.
Compare your own images with longer exposures or averages of the same place, and look at input minus output:
it should hold noise and no structure. Measured with the model, not with this package:

```yaml
{_yaml(card.measured)}```

## Limitations

{chr(10).join(f"- {text}" for text in card.limitations) or "- The model's card names none."}

## Licence

{card.licence}
"""


def cover(before: NDArray[np.float32], after: NDArray[np.float32], path: Path) -> None:
    """A PNG of 2:1, noisy on the left and denoised on the right, at one contrast."""
    from PIL import Image

    low, high = np.percentile(after, [0.5, 99.8])
    both = np.concatenate([before, after], axis=1)
    grey = np.clip((both - low) / max(high - low, 1e-6), 0, 1) * 255
    Image.fromarray(grey.astype(np.uint8)).save(path)


def _yaml(values: dict[str, Any]) -> str:
    if not values:
        return "not stated\n"
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
