"""What every bench has to reach: all limits, and the figures that are held against them.

Measures nothing. A figure that a quick run leaves out has no target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from bench import micro
from bench.families import FIRST, LAST, MISS, SCALE, SHAPES
from bench.record import Figures

CHECK_US: Final = 25.0
OBJECT_CHECK_US: Final = 12.0
TRANSPORT_RATIO: Final = 5.0

GROWTH: Final = 3.0
"""What a decision among the most rules may cost, in decisions among the fewest."""
DECISION_US: Final = 10.0
OVER_ENGINE: Final = 100.0
MEMORY_MB: Final = 200.0

ROWS_CPU_S: Final = 5.0
RULES_CPU_S: Final = 10.0

SMALL_RATIO: Final = 3.0
SMALL_EXTRA_US: Final = 2.0
"""A small policy may take this many times what it takes by hand, and this much besides."""

ADDED_P95_MS: Final = 1.0
PROMISED_RATE: Final = 2_000
SWAP_RATIO: Final = 2.0
"""What the p99 of checks may be during a swap, in p99 of quiet time."""
SWAPS_RATIO: Final = 1.1
"""The resident memory after many swaps, in that after a tenth of them."""
SWAPS_LEAST_RATIO: Final = 0.9
DECIDES_MS: Final = 1_000.0
"""Within which a bundle that was published decides, and one that was gone back to."""


class Target(NamedTuple):
    """What has to be reached, with the figure that was measured, and whether it was."""

    text: str
    is_met: bool


def targets(name: str, figures: Figures) -> list[Target]:
    """Return the targets of a bench."""
    return list(_TARGETS[name](figures)) if name in _TARGETS else []


def _at_most(what: str, figure: float, limit: float, unit: str = "") -> Target:
    return Target(f"{what} ≤ {limit:g}{unit} ({figure:.2f})", figure <= limit)


def _at_least(what: str, figure: float, limit: float) -> Target:
    return Target(f"{what} ≥ {limit:g} times ({figure:.1f})", figure >= limit)


def _micro(figures: Figures) -> Iterator[Target]:
    for part, stage, limit in (
        ("stages", micro.WHOLE, CHECK_US),
        ("object", micro.OBJECT_WHOLE, OBJECT_CHECK_US),
    ):
        yield _at_most(f"{stage}, median", figures[part][stage]["median_us"], limit, " µs")


def _transport(figures: Figures) -> Iterator[Target]:
    yield _at_least("checks/s of ngh2 over those of grpc.aio", figures["ngh2_over_grpcio"]["rate_ratio"], TRANSPORT_RATIO)


def _scale(figures: Figures) -> Iterator[Target]:
    for family in SCALE:
        curves = figures["curves"].get(family.name, {})
        if family.is_indexed:
            growth = _worst(curves, "100000", "ratio")
            yield from (_at_most(f"{family.name}: 100,000 rules over 10", one, GROWTH, " times") for one in growth)
            cost = _worst(curves, "10000", "median_us")
            yield from (_at_most(f"{family.name}: a decision among 10,000 rules", one, DECISION_US, " µs") for one in cost)
        gains = [
            curves[f"rego-cpp, {kind}"]["1000"]["median_us"] / curves[f"authz, {kind}"]["1000"]["median_us"]
            for kind in (LAST, MISS)
            if "1000" in curves.get(f"rego-cpp, {kind}", {})
        ]
        if gains:
            yield _at_least(f"{family.name}: faster than rego-cpp with 1,000 rules", min(gains), OVER_ENGINE)
    for label, row in figures["memory"].items():
        if label.endswith(", 100000"):
            yield _at_most(f"{label} rules: memory added", row["added_mb"], MEMORY_MB, " MB")


def _worst(curves: Mapping[str, Any], size: str, figure: str) -> list[float]:
    """Return the largest figure of the kinds of requests, none where the size was not measured."""
    found = [curves[f"authz, {kind}"][size][figure] for kind in (FIRST, LAST, MISS) if size in curves.get(f"authz, {kind}", {})]
    return [max(found)] if found else []


def _shapes(figures: Figures) -> Iterator[Target]:
    not_indexed = {family.name for family in SHAPES if not family.is_indexed}
    for shape, row in figures["shapes"].items():
        if shape not in not_indexed:
            yield _at_most(
                f"{shape}: {figures['many']:,} rules over {figures['few']}", max(row["hit_ratio"], row["miss_ratio"]), GROWTH, " times"
            )


def _small(figures: Figures) -> Iterator[Target]:
    for policy, row in figures["policies"].items():
        limit = round(SMALL_RATIO * row["by_hand_us"] + SMALL_EXTRA_US, 2)
        yield _at_most(f"{policy}: a decision", row["decision_us"], limit, " µs")


def _joins(figures: Figures) -> Iterator[Target]:
    for part, what, limit in (("joins", "rows", ROWS_CPU_S), ("policies", "rules", RULES_CPU_S)):
        for family, row in figures[part].items():
            yield _at_most(f"{family}: {figures[what]:,} {what} compiled", row["cpu_s"], limit, " s")


def _load(figures: Figures) -> Iterator[Target]:
    for way, row in figures["quiet"].items():
        if way.startswith("ngh2") and way.endswith(f" {PROMISED_RATE}/s"):
            yield _at_most(f"{way}: added p95", row["added_p95_ms"], ADDED_P95_MS, " ms")


def _activation(figures: Figures) -> Iterator[Target]:
    yield _at_most("p99 of checks during a swap over quiet", figures["activation"]["swap"]["p99_ratio"], SWAP_RATIO, " times")
    memory = figures["memory"]
    early = memory[f"after_{max(1, memory['swaps'] // 10)}_mb"]
    yield _at_most("memory after all swaps over a tenth of them", memory["most_of_second_half_mb"] / early, SWAPS_RATIO, " times")


def _swaps(figures: Figures) -> Iterator[Target]:
    for what in ("failures", "mixed", "not_monotone"):
        yield _at_most(f"{what} among {figures['answers']:,} answers", figures[what], 0)
    yield _at_most("p99 of requests during swaps over quiet", figures["checks"]["swap"]["p99_ratio"], SWAP_RATIO, " times")
    for way, row in figures["decides"].items():
        yield _at_most(f"{way} decides, p99", row.get("p99_ms", row["max_ms"]), DECIDES_MS, " ms")
    for way in ("rollbacks", "bundles"):
        row = figures["memory"][way]
        yield _at_most(f"memory after {row['swaps']:,} {way}, most over a tenth of them", row["most_ratio"], SWAPS_RATIO, " times")
        least = row["least_ratio"]
        yield Target(f"memory after {row['swaps']:,} {way}, least ≥ {SWAPS_LEAST_RATIO:g} times ({least:.2f})", least >= SWAPS_LEAST_RATIO)


_TARGETS: Final[dict[str, Callable[[Figures], Iterator[Target]]]] = {
    "micro": _micro,
    "transport": _transport,
    "scale": _scale,
    "shapes": _shapes,
    "small": _small,
    "joins": _joins,
    "load": _load,
    "activation": _activation,
    "swaps": _swaps,
}
