"""Scale curves as SVG: `python -m bench.plot [RECORD.json]` draws a record of the scale bench, the newest if none is named.

The same record gives the same bytes. Measures nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.families import FIRST, LAST, MISS
from bench.record import RESULTS, Figures, read

# Okabe and Ito's colours, which are told apart without seeing red or green.
_STYLES: Final[Mapping[str, tuple[str, str]]] = {
    "authz": ("#0072b2", "o"),
    "by hand": ("#000000", "s"),
    "without tables": ("#56b4e9", "^"),
    "rego-cpp": ("#d55e00", "v"),
    "regorus": ("#e69f00", "D"),
    "OPA": ("#009e73", "P"),
}
_LEGEND: Final = {"OPA": "OPA (through its C interface)"}
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

_SETTINGS: Final[dict[Any, Any]] = {
    "svg.hashsalt": "authz",  # ids of elements would be random otherwise
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main(arguments: list[str]) -> int:
    """Draw a record; 2 if there is none that can be drawn."""
    records = [Path(name) for name in arguments] or sorted(RESULTS.glob("*-scale.json"))[-1:]
    if len(records) != 1:
        print("bench.plot: name one record of the scale bench: there is none in bench/results/", file=sys.stderr)
        return 2
    try:
        drawn = draw(records[0])
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"bench.plot: {records[0]} is no record of the scale bench: {error}", file=sys.stderr)
        return 2
    print("\n".join(map(str, drawn)))
    return 0


def draw(record: Path) -> list[Path]:
    """Draw a record of the scale bench into files beside it; return their paths."""
    curves = read(record).figures["curves"]
    drawings = {"contenders": _contenders, "families": _families}
    paths = []
    with matplotlib.rc_context(_SETTINGS):
        for name, drawing in drawings.items():
            path = record.with_name(f"{record.stem}-{name}.svg")
            drawing(curves).savefig(path, format="svg", metadata={"Date": None, "Creator": None})
            paths.append(path)
    return paths


def _contenders(curves: Figures) -> Figure:
    """Draw a panel for every family: who takes how long for a request that the last rule allows."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True, squeeze=False)
    for panel, (family, contenders) in zip(panels.flat, curves.items(), strict=False):
        for name, (colour, marker) in _STYLES.items():
            points = contenders.get(f"{name}, {LAST}", {})
            _line(panel, points, _LEGEND.get(name, name), colour, marker)
        _label(panel, family)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("One decision, by the number of rules (a request that the last rule allows)")
    return figure


def _families(curves: Figures) -> Figure:
    """Draw every family in one panel: a line for what the last rule allows, and from the quickest to the slowest kind of request."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    for (family, contenders), colour in zip(curves.items(), _COLOURS, strict=False):
        kinds = [contenders[f"authz, {kind}"] for kind in (FIRST, LAST, MISS)]
        sizes, medians = _columns(contenders[f"authz, {LAST}"])
        costs = [[points[str(size)]["median_us"] for points in kinds] for size in sizes]
        panel.fill_between(sizes, [min(cost) for cost in costs], [max(cost) for cost in costs], color=colour, alpha=0.15, linewidth=0)
        panel.plot(sizes, medians, color=colour, marker="o", markersize=4, label=family)
    _label(panel, "One decision of authz: the last rule allows (line); the first, the last or none does (area)")
    panel.set_ylim(0.1, 100)
    panel.legend(frameon=False, ncols=4, loc="upper left")
    return figure


def _line(panel: Axes, points: Figures, name: str, colour: str, marker: str) -> None:
    if not points:
        return
    sizes, medians = _columns(points)
    low, high = (list(_values(points, percentile)) for percentile in ("p10_us", "p90_us"))
    panel.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
    panel.plot(sizes, medians, color=colour, marker=marker, markersize=4, label=name)


def _columns(points: Figures) -> tuple[list[int], list[float]]:
    return [int(size) for size in points], list(_values(points, "median_us"))


def _values(points: Figures, name: str) -> Iterator[float]:
    return (point[name] for point in points.values())


def _label(panel: Any, title: str) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_title(title, fontsize=10)
    panel.set_xlabel("rules (role data: grants)")
    panel.set_ylabel("µs a decision")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
