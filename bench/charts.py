"""``python -m bench.charts DIRECTORY``: draw the series of ``report.json`` as SVG, in the peers' environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

_BASELINE: Final = "Dramatiq alone"
_GREY: Final = "#9aa0a6"
_COLOURS: Final = ("#1a5fb4", "#c64600", "#26a269")
#: From so many times the least size on, sizes are shown on a logarithmic axis.
_WIDE: Final = 20


def main() -> None:
    directory = Path(sys.argv[1])
    charts = directory / "charts"
    charts.mkdir(exist_ok=True)
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "callboard", "font.family": "sans-serif"})
    for part in json.loads((directory / "report.json").read_text())["parts"].values():
        for name, series in part["series"].items():
            draw(series, charts / f"{name}.svg")


def draw(series: dict[str, Any], path: Path) -> None:
    """Draw medians as lines, and the range of the rounds as a band."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    sizes = series["sizes"]
    colours = iter(_COLOURS)
    for name, points in series["lines"].items():
        colour = _GREY if name == _BASELINE else next(colours)
        lowest, highest = [min(each) for each in points], [max(each) for each in points]
        axes.plot(sizes, [median(each) for each in points], marker="o", markersize=4, color=colour, label=name)
        axes.fill_between(sizes, lowest, highest, color=colour, alpha=0.15, lw=0)
    if sizes[-1] / sizes[0] >= _WIDE:
        axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_title(series["title"], loc="left", fontweight="bold")
    axes.set_xlabel(series["size"])
    axes.set_ylabel(series["unit"])
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(series["lines"]))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
