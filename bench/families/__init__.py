"""Policies that the benches make, in any size.

`SCALE` are the families of the scale curves, `JOINS` are joins with base data, `SHAPES` single tests, one kind each.
"""

from __future__ import annotations

from typing import Final

from bench.families.case import ENTRYPOINT, FIRST, KINDS, LAST, MISS, SPREAD, VARIETY, Case, Family, Floor
from bench.families.equality import EQUALITY
from bench.families.grants import EQUAL_GRANTS, GLOB_GRANTS
from bench.families.mixed import MIXED
from bench.families.path_patterns import PATH_PATTERNS
from bench.families.role_data import ROLE_DATA
from bench.families.shapes import SHAPES

SCALE: Final[tuple[Family, ...]] = (EQUALITY, PATH_PATTERNS, ROLE_DATA, MIXED)
JOINS: Final[tuple[Family, ...]] = (EQUAL_GRANTS, GLOB_GRANTS, ROLE_DATA)

FAMILIES: Final = {family.name: family for family in (*SCALE, *JOINS, *SHAPES)}
"""Every family by its name."""

__all__ = [
    "ENTRYPOINT", "EQUALITY", "EQUAL_GRANTS", "FAMILIES", "FIRST", "JOINS", "KINDS", "LAST", "MISS", "MIXED", "SCALE", "SHAPES", "SPREAD",
    "VARIETY", "Case", "Family", "Floor",
]  # fmt: skip
