"""`python -m bench [--quick] [--check] [NAME…]`: measure, print, and keep the figures in bench/results/.

Owns the choice of benches; what is measured, and how, is in their modules.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import joins, micro, scale, shapes, small, transport
from bench.load import activation, rates, swaps
from bench.plot import draw
from bench.record import RESULTS, Figures, Origin, Record
from bench.report import show
from bench.targets import targets

BENCHES: Final[dict[str, Callable[..., Figures]]] = {
    "micro": micro.run,
    "small": small.run,
    "shapes": shapes.run,
    "scale": scale.run,
    "joins": joins.run,
    "transport": transport.run,
    "load": rates.run,
    "activation": activation.run,
    "swaps": swaps.run,
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
        console.print(f"target {target}: {'met' if is_met else 'MISSED'}", highlight=False, markup=False)
        if not is_met:
            missed.append(target)
    if results is not None:
        path = record.write(results)
        for kept in (path, *(draw(path) if name == "scale" else ())):
            console.print(f"kept in {kept}", highlight=False, soft_wrap=True)
    console.print()
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
