"""What compilation leaves behind: text and tables that another process can link and run.

Plain picklable values; knows neither how they were made nor how they are run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authz.rego.nodes import Location
from authz.rego.program import Path
from authz.rego.values import Value


@dataclass(frozen=True, slots=True)
class ReadSet:
    """What an entry point can touch, as minimal path prefixes below `input` and `data`.

    `((),)` is all of it. `nondeterministic` names the built-ins whose result may differ between two equal inputs.
    """

    input: tuple[tuple[str, ...], ...]
    data: tuple[tuple[str, ...], ...]
    nondeterministic: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """The size of a decision table; `residuals` is the number of rows that also run code."""

    rows: int
    columns: int
    residuals: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule as an entry point: its function's name, what it reads and how big its table is."""

    function: str
    reads: ReadSet
    table: TableInfo


@dataclass(frozen=True, slots=True)
class Artifact:
    """Generated text with everything it names. `entries` covers every rule, by path below `data`.

    `packages` are the packages of all modules, which are documents even where no rule is in them.
    """

    name: str
    text: str
    constants: tuple[Value, ...]
    builtins: tuple[str, ...]
    locations: tuple[Location, ...]
    places: tuple[Path, ...]
    tables: tuple[Any, ...]
    functions: dict[Path, str]
    function_paths: tuple[Path, ...]
    packages: tuple[Path, ...]
    line_map: tuple[Location | None, ...]
    memo_size: int
    data: Value
    entries: dict[Path, Entry]
