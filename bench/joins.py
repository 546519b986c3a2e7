"""What it takes to make tables of joins with base data, and of rules: processor time, memory, and the size of what comes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.compiling import compile_apart
from bench.families import JOINS, SCALE, Family
from bench.record import Figures

ROWS: Final = 100_000
RULES: Final = 10_000

_DIVISOR: Final = 100
"""How much less a quick run compiles."""


def run(*, is_quick: bool = False) -> Figures:
    """Compile joins with many rows and policies with many rules; return seconds of processor time and megabytes."""
    rules = [family for family in SCALE if family not in JOINS]
    less = _DIVISOR if is_quick else 1
    return {"rows": ROWS // less, "rules": RULES // less, **measure(JOINS, ROWS // less, rules, RULES // less)}


def measure(joins: Sequence[Family], rows: int, families: Sequence[Family], rules: int) -> Figures:
    """Compile each family once, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as name:
        return {
            part: {family.name: compile_apart(family, size, Path(name)).figures for family in measured}
            for part, measured, size in (("joins", joins, rows), ("policies", families, rules))
        }
