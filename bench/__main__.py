"""`python -m bench [--quick] [--check] [NAME…]`: measure, print, and keep the figures in bench/results/.

Owns the choice of benches and the targets; what is measured, and how, is in their modules.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import micro, through_envoy, transport
from bench.record import RESULTS, Figures, Origin, Record
from bench.report import show

BENCHES: Final[dict[str, Callable[..., Figures]]] = {
    "micro": micro.run,
    "transport": transport.run,
    "envoy": through_envoy.run,
}


def main(arguments: list[str]) -> int:
    """Run the named benches, all of them by default; with `--check` 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure authz; results go to bench/results/.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which benches to run: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a few seconds each: for trying out, not for quoting")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where figures are kept (default: bench/results)")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - BENCHES.keys()
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    console = Console() if sys.stdout.isatty() else Console(width=140)
    results: Path | None = None if options.quick else options.results
    missed = [target for name in options.names or BENCHES for target in _run(console, name, results)]
    return 1 if options.check and missed else 0


def _run(console: Console, name: str, results: Path | None) -> list[str]:
    """Run one bench, quickly if there is nowhere to keep its figures, and show them; return the targets it misses."""
    origin = Origin()
    record = Record.of(name, origin, BENCHES[name](is_quick=results is None))
    show(console, record)
    missed = []
    for target, is_met in targets(name, record.figures):
        console.print(f"target {target}: {'met' if is_met else 'MISSED'}", highlight=False)
        if not is_met:
            missed.append(target)
    if results is not None:
        console.print(f"kept in {record.write(results)}", highlight=False, soft_wrap=True)
    console.print()
    return missed


def targets(name: str, figures: Figures) -> list[tuple[str, bool]]:
    """Return what a bench has to reach, and whether it did."""
    if name == "micro":
        median = figures["stages"][micro.WHOLE]["median_us"]
        return [(f"bytes → bytes ≤ {micro.TARGET_US:g} µs median ({median:.1f})", median <= micro.TARGET_US)]
    if name == "transport":
        ratio = figures["ngh2_over_grpcio"]["rate_ratio"]
        return [(f"checks/s of ngh2 ≥ {transport.TARGET_RATIO:g} times those of grpc.aio ({ratio:.1f})", ratio >= transport.TARGET_RATIO)]
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
