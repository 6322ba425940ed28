"""Make the README's pictures of the dock from a real window.

    xvfb-run -a -s '-screen 0 1600x1300x24' python scripts/dock_pictures.py [--only window]

The image is the simulated time-lapse that ships with the package, the reference its exact truth.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.window import Window, display_missing  # noqa: E402
from napari_rdpdenoise.samples import simulate_timelapse  # noqa: E402

EDGE, WIDE = 512, 1536  # px: of the stack, and of the plane that fills in
LOOK = {
    "axis_labels": ("t", "y", "x"),
    "scale": (10.0, 0.2, 0.2),
    "units": ("s", "um", "um"),
    "contrast_limits": (100, 165),
    "colormap": "inferno",
}
MOMENTS = (0.1, 0.45, 1.0)  # shares of the tiles
TUNED = 200  # steps
TALL = 1400, 1230  # px, of the window
GAP = 6  # px between pictures
MOST_BYTES = 300_000


def save(path: Path, picture: np.ndarray) -> None:
    """Write a PNG with as many colours as fit into the size that a README should load."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.save(path, optimize=True)
    for colours in (256, 192, 128):  # by octrees: median cut leaves out small things, such as a green sign
        if path.stat().st_size <= MOST_BYTES:
            break
        image.quantize(colours, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        halved = image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS)
        halved.quantize(128, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {picture.shape[1]} x {picture.shape[0]} px")


def _without_margin(picture: np.ndarray) -> np.ndarray:
    """The part that shows the image."""
    rows, columns = (np.flatnonzero(picture.any(axis=(axis, 2))) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def fill_in(window: Window, path: Path) -> None:
    """The preview of a larger plane, at three moments."""
    noisy = simulate_timelapse((1, WIDE, WIDE), photons=12, seed=3).noisy
    window.dock.choose(window.viewer.add_image(noisy, name="cells", **LOOK))
    state, parts = lambda: window.dock.session.state, []
    for share in MOMENTS:
        window.wait(lambda s=share: 0 < s * state().requested <= state().shown, "preview")  # type: ignore[misc]
        window.rest(0.3)
        parts.append(_without_margin(window.viewer.screenshot(flash=False)[..., :3]))
        parts.append(np.full((parts[-1].shape[0], GAP, 3), 255, np.uint8))
    save(path, np.hstack(parts[:-1]))


def whole(window: Window, path: Path) -> None:
    """The window with the reasons of the verdict in sight, measured against the truth."""
    sample = simulate_timelapse((3, EDGE, EDGE), photons=12)
    viewer, dock = window.viewer, window.dock
    viewer.window.resize(*TALL)  # room for all of the numbers
    window.rest(1.0)
    viewer.layers.clear()
    clean = viewer.add_image(sample.clean, name="clean (truth)", visible=False, **LOOK)
    dock.choose(viewer.add_image(sample.noisy, name="cells", **LOOK))
    dock.session.realism = 0.3
    dock.wait()
    dock.open_tab("check")
    dock.sections["verdict"].why.setChecked(True)
    window.rest(2.0)
    readouts = dock.sections["check"].readouts
    readouts._reference.choose(clean)
    window.rest(0.5)
    readouts.measure_plane()
    window.wait(lambda: readouts._cancel.isEnabled(), "start of the measurement", 5)
    window.wait(lambda: not readouts._cancel.isEnabled(), "measurement")
    window.rest(1.5)
    save(path, window.picture())


def split(window: Window, path: Path) -> None:
    """Noisy on the left, result on the right."""
    from napari_rdpdenoise.ui.compare.view import View

    window.dock.sections["view"].choose(View.SPLIT)
    window.rest(1.5)
    save(path, _without_margin(window.viewer.screenshot(flash=False)[..., :3]))
    window.dock.sections["view"].choose(View.DENOISED)


def finetune(window: Window, path: Path) -> None:
    """The section Fine-tune in the middle of a short training, of the stack alone."""
    from qtpy.QtGui import QImage
    from qtpy.QtWidgets import QScrollArea

    dock, box = window.dock, window.dock.sections["train"]
    dock.sections["verdict"].why.setChecked(False)
    dock.open_tab("train")
    box.form.kind.setCurrentIndex(box.form.kind.findData("zeroshot"))
    box.form.unit.setCurrentText("steps")
    box.form.amount.setValue(TUNED)
    box.start.click()
    window.wait(lambda: box.bar.maximum() == TUNED and box.bar.value() > 0.8 * TUNED, "training", 900)
    window.rest(1.0)
    inside = dock.findChild(QScrollArea).widget()
    image = inside.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
    save(path, rows.reshape(image.height(), image.width(), 3))
    box.cancel.click()
    window.wait(lambda: not box.busy, "end of the training", 60)


def main() -> int:
    """Make all pictures, where there is a display."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "examples" / "images")
    options.add_argument("--only", nargs="*", default=[], help="names of pictures, such as window; none: all")
    given = options.parse_args()
    wanted = lambda name: not given.only or name in given.only  # noqa: E731
    if (reason := display_missing()) is not None:
        print(f"no pictures, {reason}", file=sys.stderr)
        return 1
    window = Window((1100, 800))
    window.open_dock()
    window.wait(lambda: window.dock.session.state.realism_note is None, "a model with realism")
    if wanted("preview"):
        fill_in(window, given.out / "dock-preview.png")
    window.viewer.window.resize(1400, 1000)
    window.rest(1.0)
    whole(window, given.out / "dock-window.png")
    window.viewer.reset_view()
    split(window, given.out / "dock-split.png")
    if wanted("finetune"):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RDPDENOISE_MODELS"] = folder
            finetune(window, given.out / "dock-finetune.png")
    window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
