"""The figure of ``rdp.json``: curves of LPIPS over PSNR, and both over rate and realism.

python -m benchmarks.rdp_figure [--out FOLDER]    draws the kept result again
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import kept, parser

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.transforms import Bbox

WIDTH, DPI = 9.0, 160  # inches
HEIGHTS = (4.4, 2.2, 2.2)  # inches, of the rows
LEFT, ABOVE = 1.5, 0.06  # dB and LPIPS around ours: peers beyond are listed, not drawn
NAMED = (0.0, 0.4, 1.0)  # rates: the lines between are known by their place
SHORT = {
    "noisy": "noisy",
    "Gaussian, sigma 1": "Gauss 1",
    "Gaussian, sigma 2": "Gauss 2",
    "NLM, our noise estimate": "NLM",
    "VST+BM3D, our noise estimate": "BM3D",
    "VST+BM3D, told the true noise line": "BM3D, told",
    "VST+JPEG 2000, rate chosen with the clean image": "JPEG 2000, told",
    "N2V U-Net, trained on the image": "N2V",
    "U-Net, clean targets (N2C)": "U-Net N2C",
    "U-Net, noisy targets (N2N)": "U-Net N2N",
}
TICKS = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)  # of logarithmic axes
INK, QUIET = "0.15", "0.4"
Name = tuple[float, float, str, Any, str]  # place, words, colour, weight


def draw(result: dict[str, Any], file: Path) -> None:
    """Write the figure; without a realism decoder there are only the curves over the rate."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    sets, rows = result["sets"], 3 if len(result["realisms"]) > 1 else 1
    size = {"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context({**size, "axes.edgecolor": QUIET, "text.color": INK, "axes.labelcolor": INK}):
        figure = pyplot.figure(figsize=(WIDTH, sum(HEIGHTS[:rows])), layout="constrained")
        axes = figure.subplots(rows, len(sets), squeeze=False, height_ratios=HEIGHTS[:rows])
        if rows > 1:
            _surfaces(axes[1], result, "psnr", "PSNR, dB")
            _surfaces(axes[2], result, "lpips", "LPIPS-Alex")
        names = [_curves(axes[0, place], *found) for place, found in enumerate(sets.items())]
        axes[0, 0].set_ylabel("LPIPS-Alex (lower: more natural)")
        figure.align_ylabels(axes[:, 0])
        for place, texts in enumerate(names):
            _place(axes[0, place], texts)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=DPI, facecolor="white", metadata={"Software": None})
        pyplot.close(figure)


def _curves(axes: Axes, name: str, found: dict[str, Any]) -> list[Name]:
    """One line per rate, a dot per realism; peers as points. Gives the names to be written."""
    from matplotlib import colormaps

    texts: list[Name] = []
    for point in found["sweep"]:
        colour = colormaps["viridis"](0.85 * (1 - point["rate"]))
        x, y = ([scores[key] for scores in point["realism"]] for key in ("psnr", "lpips"))
        axes.plot(x, y, "-o", color=colour, markersize=3.5, linewidth=1.4, zorder=3)
        if point["rate"] in NAMED:
            texts.append((x[0], y[0], f"rate {point['rate']:g}", colour, "bold"))
    auto = [image["realism"] for image in found["auto"].values()]
    x, y = (
        np.mean([[scores[key] for scores in image] for image in auto], axis=0) for key in ("psnr", "lpips")
    )
    axes.plot(x, y, "o", markersize=7, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    if len(x) > 1:
        texts.append((x[-1], y[-1], "realism 1", INK, "bold"))
    off = _peers(axes, found, texts)
    axes.set_yscale("log")
    _ticks(axes.yaxis)
    axes.margins(0.1)
    left, right = axes.get_xlim()
    axes.set_xlim(left, right + 0.12 * (right - left))  # for the names of the best
    notes = ["circles: rate auto", *(f"beyond: {peer}" for peer in off)]
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * (top / bottom) ** (0.04 * len(notes)))  # for the notes
    axes.annotate(
        "\n".join(notes), (0.99, 0.99), xycoords="axes fraction", color=QUIET, size=7, ha="right", va="top"
    )
    axes.set_xlabel("PSNR, dB")
    axes.set_title(name, loc="left", fontweight="bold")
    axes.grid(color="0.92", linewidth=0.8, zorder=0)
    return texts


def _peers(axes: Axes, found: dict[str, Any], texts: list[Name]) -> list[str]:
    """Draw the peers that are near enough; the others are told of in words."""
    ours = [scores for point in found["sweep"] for scores in point["realism"]]
    low = min(scores["psnr"] for scores in ours) - LEFT
    high = max(scores["lpips"] for scores in ours) + ABOVE
    off = []
    for peer, images in found["peers"].items():
        x, y = (float(np.mean([row[key] for row in images.values()])) for key in ("psnr", "lpips"))
        if x < low or y > high:
            off.append(f"{SHORT.get(peer, peer)} {x:.1f} dB, {y:.2f}")
            continue
        axes.plot(x, y, "D", color=QUIET, markersize=4, zorder=2)
        texts.append((x, y, SHORT.get(peer, peer), QUIET, "normal"))
    return off


def _ticks(axis: Axis) -> None:
    """Round numbers on a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_major_locator(FixedLocator(TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _place(axes: Axes, texts: list[Name]) -> None:
    """Write each name where it covers least of what is there: places around its point are tried."""
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text  # whose extent is without the line to the point

    figure = axes.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    lines = [axes.transData.transform(_dense(line.get_xydata())) for line in axes.lines]
    taken = [text.get_window_extent(renderer) for text in axes.texts]
    for x, y, words, colour, weight in texts:
        label = axes.annotate(
            words, (x, y), textcoords="offset points", size=7.5, color=colour, va="center", zorder=5,
            fontweight=weight, path_effects=[withStroke(linewidth=2, foreground="white")],
            arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": colour, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
        label.set_in_layout(False)
        best = (float("inf"), (0.0, 0.0), "left")
        for reach in (6, 10, 15, 20):
            for dx, dy in ((1, 0), (-1, 0), (0, 1.4), (0, -1.4), (1, 1), (1, -1), (-1, 1), (-1, -1)):
                side = {1: "left", -1: "right", 0: "center"}[dx]
                label.set(ha=side, position=(reach * dx, reach * dy))
                label.update_positions(renderer)
                box = Text.get_window_extent(label, renderer)
                cost = _covered(box, np.concatenate(lines), taken, axes.get_window_extent(renderer))
                best = min(best, (cost + reach / 10, (reach * dx, reach * dy), side))
        label.set(position=best[1], ha=best[2])
        label.update_positions(renderer)
        taken.append(Text.get_window_extent(label, renderer))


def _dense(points: NDArray[Any]) -> NDArray[Any]:
    """The points of a line and ten more between each two."""
    if len(points) < 2:
        return points
    at = np.linspace(0, len(points) - 1, 10 * len(points))
    return np.stack([np.interp(at, np.arange(len(points)), column) for column in points.T], axis=1)


def _covered(box: Bbox, points: NDArray[Any], taken: list[Bbox], frame: Bbox) -> float:
    """How much a label there would hide: points of lines, other labels, and itself outside of the frame."""
    box = box.padded(2)
    inside = np.all((points > (box.x0, box.y0)) & (points < (box.x1, box.y1)), axis=1).sum()
    out = box.x0 < frame.x0 or box.x1 > frame.x1 + 6 or box.y0 < frame.y0 or box.y1 > frame.y1
    return float(inside) + 15 * sum(box.overlaps(other) for other in taken) + 30 * out


def _surfaces(row: NDArray[Any], result: dict[str, Any], score: str, title: str) -> None:
    """Filled contours over bits per pixel and realism; the sets differ too much for a common scale."""
    for axes, found in zip(row, result["sets"].values(), strict=True):
        bpp = [point["bpp"] for point in found["sweep"]]
        values = np.array([[scores[score] for scores in point["realism"]] for point in found["sweep"]]).T
        colours = "cividis" if score == "psnr" else "cividis_r"  # bright is good
        shown = axes.contourf(bpp, result["realisms"], values, levels=9, cmap=colours)
        lines = axes.contour(
            bpp, result["realisms"], values, levels=shown.levels, colors="white", linewidths=0.7
        )
        step = shown.levels[1] - shown.levels[0]
        axes.set_xscale("log")  # before the labels, which are put where the lines are then
        places = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
        for label in axes.clabel(lines, shown.levels[1::2], fmt=f"%.{places}f", fontsize=7, inline=False):
            label.set(
                color="black", bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.8}
            )
            place = axes.transAxes.inverted().transform(axes.transData.transform(label.get_position()))
            label.set_visible(bool(np.all((place > 0.07) & (place < 0.93))))  # else cut by the frame
        _ticks(axes.xaxis)
        axes.set_title(title, loc="left")
        axes.set_xlabel("bits per pixel")
    row[0].set_ylabel("realism")


def main() -> None:
    """Draw ``rdp.json`` again."""
    options = parser(__doc__.splitlines()[0]).parse_args()
    draw(kept("rdp", options)["result"], options.out / "rdp.png")


if __name__ == "__main__":
    main()
