"""Coverage: which expressions of modules were evaluated and which rules held, as OPA reports it.

Listens to events and counts; knows neither how an evaluation proceeds nor JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from authz.rego import nodes
from authz.rego.nodes import Location
from authz.rego.observed.evaluation import ALL_SHORTCUTS, Shortcuts
from authz.rego.observed.events import Event, Observer, Op
from authz.rego.observed.plans import Definition
from authz.rego.observed.spans import Span

RUNS: Final = {"index_excluded": Shortcuts(indexing=False), "early_exit": Shortcuts(early_exit=False)}
"""Why something may not have been covered, and the evaluation that shows it: without the shortcut that left it out."""


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """The extent of one expression or head: its first row and column, and the place behind its end."""

    row: int
    col: int
    end_row: int
    end_col: int

    def contains(self, other: Range) -> bool:
        return (self.row, self.col) <= (other.row, other.col) and (other.end_row, other.end_col) <= (self.end_row, self.end_col)

    @property
    def rows(self) -> range:
        return range(self.row, self.end_row + 1)


class Coverage:
    """What was covered in one kind of run: heads of rules that held, expressions that were evaluated."""

    def __init__(self) -> None:
        self.ranges: dict[str, set[Range]] = {}

    def __call__(self, event: Event) -> None:
        if event.op is Op.EVAL:
            self._cover(event.node.location if event.node is not None else event.location)
        elif event.op is Op.EXIT and isinstance(event.node, Definition):
            self._cover(event.node.rule.head.location)

    def _cover(self, location: Location) -> None:
        if location.file and isinstance(location, Span):
            self.ranges.setdefault(location.file, set()).add(range_of(location))

    def covers(self, file: str, other: Range) -> bool:
        return any(one.contains(other) for one in self.ranges.get(file, ()))


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file's covered ranges, and those that are not, each with the runs that would have covered it."""

    covered: tuple[Range, ...]
    not_covered: tuple[tuple[Range, tuple[str, ...]], ...]

    @property
    def covered_lines(self) -> int:
        return len({row for one in self.covered for row in one.rows})

    @property
    def not_covered_lines(self) -> int:
        return len({row for one, _ in self.not_covered for row in one.rows})


class CoverageRuns:
    """What was covered, and what runs without a shortcut would have covered besides; `names` are those of `RUNS`."""

    def __init__(self, names: Iterable[str] = tuple(RUNS)) -> None:
        self._covered = Coverage()
        self._others = {name: Coverage() for name in names}

    def evaluate(self, evaluate: Callable[[Observer, Shortcuts], None]) -> None:
        """Have something evaluated in all runs."""
        evaluate(self._covered, ALL_SHORTCUTS)
        for name, coverage in self._others.items():
            evaluate(coverage, RUNS[name])

    def report(self, modules: Iterable[nodes.Module]) -> dict[str, FileReport]:
        """Return the report of every file."""
        return {module.file: _file_report(module, self._covered, self._others) for module in modules}


def _file_report(module: nodes.Module, covered: Coverage, others: dict[str, Coverage]) -> FileReport:
    missing = sorted(one for one in set(_coverable(module)) if not covered.covers(module.file, one))
    found = tuple((one, tuple(name for name, other in others.items() if other.covers(module.file, one))) for one in missing)
    return FileReport(tuple(sorted(covered.ranges.get(module.file, ()))), found)


def percentage(covered: int, not_covered: int) -> float:
    """Return the share of lines that are covered, in percent; 0 where there are none."""
    return 100.0 * covered / (covered + not_covered) if covered + not_covered else 0.0


def _coverable(module: nodes.Module) -> Iterator[Range]:
    """Yield the ranges of heads and expressions; declarations (`some`) are none."""
    for rule in module.rules:
        link: nodes.Rule | None = rule
        while link is not None:
            yield range_of(cast(Span, link.head.location))
            link = link.orelse
    for literal in _literals(module.rules):
        if isinstance(literal.location, Span) and not isinstance(literal.expr, nodes.SomeDecl | nodes.SomeIn):
            yield range_of(literal.location)


def _literals(node: object) -> Iterator[nodes.Literal]:
    """Yield every literal at or below a node."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, nodes.Literal):
            yield item
        if isinstance(item, tuple):
            waiting.extend(item)
        elif type(item).__module__ == nodes.__name__ and not isinstance(item, Location):
            waiting.extend(getattr(item, name) for name in type(item).__dataclass_fields__)  # type: ignore[attr-defined]


def range_of(span: Span) -> Range:
    return Range(span.row, span.col, span.end_row, span.end_col)
