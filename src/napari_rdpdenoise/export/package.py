"""``export_bioimageio``: a model as a BioImage.IO package, tested by BioImage.IO's own tool first."""

from __future__ import annotations

import re
import tempfile
import warnings
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.codec import Codec, load_model, plane_seed
from napari_rdpdenoise.codec.library import model_folder
from napari_rdpdenoise.codec.models import build_network, read_tensors
from napari_rdpdenoise.export.describe import LEAST, Story, cover
from napari_rdpdenoise.export.module import Fixed, torchscript
from napari_rdpdenoise.export.settings import ExportSettings
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.nn.decoder_names import on_path
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.settings import RunSettings

# The older spec hands pydantic an argument that the newer one refuses.
_STRICT_PYDANTIC, _FIXED_SPEC = (2, 14), (0, 5, 14)
_TEST_PHOTONS = 20.0  # at the bright end of the test input, where no sample says how much light there is
_TEST_MEDIAN = 0.1  # of that, the median: background


def export_bioimageio(
    model: str | Path, out: str | Path, *, sample: Any = None, overwrite: bool = False, **settings: Any
) -> Path:
    """Write a model as a BioImage.IO package (format 0.5, TorchScript), for one camera, rate and realism.

    The package is checked and run by BioImage.IO's own tool first, and appears only if that finds no fault.

    Args:
        model: Name of a model, shipped or the user's own, or path of a model's folder.
        out: Path of the package, ending in .zip.
        sample: Image like those to be denoised (array or path): noise, centre and rate "auto" are measured on
            it. It does not go into the package. None takes the noise line from ``camera``.
        overwrite: Whether to replace a file at ``out``.
        **settings: Fields of `ExportSettings`: rate, realism, camera, axes, channel, seed, name, authors.

    Returns:
        The path written.

    Raises:
        FileExistsError: If there is a file and ``overwrite`` is not set.
        FileNotFoundError: If there is no such model, sample or target folder.
        ValueError: If a setting is out of range, or neither sample nor camera says what is needed.
        RuntimeError: If the extra "bioimageio" is not installed, or its tool finds a fault.
    """
    _require_tool()
    from napari_rdpdenoise.export.rdf import check_package, write_package

    chosen, target = ExportSettings(**settings), _target(Path(out), overwrite)
    codec = load_model(model, "cpu")
    story = _story(codec, chosen, sample)
    network = build_network(codec.card.network, read_tensors(model_folder(model) / "model.safetensors"))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as name:
        folder = Path(name)
        (folder / "weights.pt").write_bytes(torchscript(network, story.fixed))
        _write_parts(folder, story)
        package = folder / "package.zip"
        write_package(folder, story, chosen.authors, package)
        check_package(package)
        package.replace(target)
    return target


def _require_tool() -> None:
    try:
        import bioimageio.core  # noqa: F401
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"export: expected BioImage.IO's tool, found no module {error.name}; "
            "pip install 'napari-rdpdenoise[bioimageio]'"
        ) from error
    spec, pydantic = (version(name) for name in ("bioimageio.spec", "pydantic"))
    if _numbers(pydantic) >= _STRICT_PYDANTIC and _numbers(spec) < _FIXED_SPEC:
        raise RuntimeError(
            f"export: bioimageio.spec {spec} fails with pydantic {pydantic}, expected one below 2.14; "
            "pip install 'napari-rdpdenoise[bioimageio]'"
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())


def _target(out: Path, overwrite: bool) -> Path:
    if out.suffix.lower() != ".zip":
        raise ValueError(f"out: expected a name ending in .zip, found {out.name!r}; write {out.name}.zip")
    if out.is_dir():
        raise IsADirectoryError(f"out: expected a file, found a folder at {out}; choose another name")
    if out.exists() and not overwrite:
        raise FileExistsError(f"out: {out} exists; choose another name, or overwrite it (--overwrite)")
    target = out.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"out: expected a folder at {target.parent}, found none; make it first")
    return target


def _story(codec: Codec, chosen: ExportSettings, sample: Any) -> Story:
    codec.check(on_path(chosen.realism), chosen.realism)
    noise = None if chosen.camera is None else NoiseModel(*chosen.camera)
    seed = plane_seed(chosen.seed, ())
    name = chosen.name or re.sub("[^A-Za-z0-9_+() -]", "-", f"napari-rdpdenoise {codec.card.name}")[:128]
    if sample is not None:
        fixed, remarks = _measured(codec, chosen, sample, noise)
        return Story(name, codec.card, replace(fixed, seed=seed), noise is None, remarks)
    if noise is None:
        raise ValueError(
            "camera: expected a sample image to measure the noise on, or the camera's gain, offset and read "
            "noise, found neither; give one (--sample FILE or --camera GAIN OFFSET READ_NOISE)"
        )
    if isinstance(chosen.rate, str):
        raise ValueError(
            f"rate: {chosen.rate!r} is chosen on a sample image, found none; give one, or a rate of 0 to 1"
        )
    back = chosen.structure == "auto"
    return Story(name, codec.card, Fixed(noise, None, chosen.rate, chosen.realism, seed, back), False)


def _measured(
    codec: Codec, chosen: ExportSettings, sample: Any, noise: NoiseModel | None
) -> tuple[Fixed, tuple[str, ...]]:
    """What a run over the sample would do, and its remarks."""
    from napari_rdpdenoise.stream.prepare import doubts, measure_channel, plan_channel
    from napari_rdpdenoise.stream.sample import sample_channel

    with closing(open_image(sample, chosen.axes)) as source:
        axis = channel_axis(source.metadata.axes)
        count = 1 if axis is None else source.shape[axis]
        if chosen.channel >= count:
            raise ValueError(
                f"channel: expected a number below {count}, that of the sample's channels, "
                f"found {chosen.channel}"
            )
        sample = sample_channel(source, None if axis is None else chosen.channel)
        windows = sample.pixels
        normalization = (
            measure_channel(windows, codec.bounded, sample.rule.noise)
            if noise is None
            else codec.fit(windows, noise)
        )
        asked = RunSettings(rate=chosen.rate, neighbours="none", structure=chosen.structure)
        plan = plan_channel(sample, normalization, asked, codec, None)
        top = _saturation(sample.rule.saturation, source.dtype)
        fixed = Fixed(plan.noise, normalization, plan.rate, chosen.realism, 0, plan.structure, top)
        found = doubts(sample, plan, codec)
        if (trend := plan.trend) is not None:  # which a module does not know
            found = [trend.words_of_one_model if text == trend.words else text for text in found]
        return fixed, tuple(found)


def _saturation(found: float | None, dtype: np.dtype) -> float:
    """Counts from which on pixels are saturated: as the sample shows, or where its integers end."""
    end = float("inf") if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return end if found is None else min(found, end)


def _write_parts(folder: Path, story: Story) -> None:
    """Test input, what the module makes of it, cover and documentation."""
    raw = _test_input(story.fixed)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # torch would rather have its other format
        denoised = torch.jit.load(folder / "weights.pt")(torch.from_numpy(raw)).numpy()
    np.save(folder / "raw.npy", raw)
    np.save(folder / "denoised.npy", denoised)
    cover(raw[0, 0], denoised[0, 0], folder / "cover.png")
    (folder / "README.md").write_text(story.readme(), encoding="utf-8")


def _test_input(fixed: Fixed) -> NDArray[np.float32]:
    """Simulated light (1, 1, y, x) seen by the camera, as much of it as the sample had."""
    from napari_rdpdenoise.samples import GAIN, OFFSET, simulate_timelapse

    light = (simulate_timelapse((1, LEAST, LEAST)).clean - OFFSET) / GAIN
    light = light[None] / float(np.median(light))
    noise, normal, rng = fixed.noise, fixed.normalization, np.random.default_rng(0)
    least = (noise.gain or noise.read_noise) * _TEST_PHOTONS * _TEST_MEDIAN
    median = 0.0 if normal is None else float(normal.inverse(np.zeros(1, np.float32))[0]) - noise.offset
    above = light * max(median, least)
    if noise.gain:
        above = noise.gain * rng.poisson(above / noise.gain)
    counts = noise.offset + above + rng.normal(0, noise.read_noise, light.shape)
    return np.asarray(counts, dtype=np.float32)
