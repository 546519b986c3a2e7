"""Explanations: which rows of a policy's rules made a decision, and which came nearest to one.

Computed on demand from policy and input, which determine a decision; the request path keeps nothing for it. Owns what is worth
telling, as plain values; how it is shown is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from authz.rego import compiler, errors
from authz.rego import plan as p
from authz.rego.codegen import scan_modifiers
from authz.rego.errors import EvalError
from authz.rego.nodes import Location
from authz.rego.optimize import optimized
from authz.rego.planner import Planned, used_groups
from authz.rego.policy import Policy
from authz.rego.program import Kind, Path
from authz.rego.runtime import Context
from authz.rego.tables.rows import Row, RowReader
from authz.rego.tables.verdicts import CellVerdict, Verdicts
from authz.rego.values import Value

NEAREST: Final = 3
"""Rows of a rule that are told of when none holds."""

DECIDED: Final = 8
"""Rows of a rule that are told of when they hold."""

MAX_RULES: Final = 32
"""Rules that one explanation tells of."""

KEPT: Final = 1024
"""Rows that are kept before the nearest are chosen among them."""


@dataclass(frozen=True, slots=True)
class RowReport:
    """One row: where its body stands, its cells, and what came of its code (None: it has none, or it was not asked).

    `error` is what the code ended in.
    """

    location: Location
    cells: tuple[CellVerdict, ...]
    code_holds: bool | None = None
    error: EvalError | None = None

    @property
    def failed(self) -> tuple[CellVerdict, ...]:
        return tuple(verdict for verdict in self.cells if not verdict.holds)

    @property
    def holds(self) -> bool:
        return not self.failed and self.code_holds is not False and self.error is None


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule: its value (None: undefined) or the error it ended in, the rows that hold, and if there is none those nearest to it."""

    path: Path
    location: Location
    value: Value | None
    error: EvalError | None
    rows: int
    decided: tuple[RowReport, ...]
    nearest: tuple[RowReport, ...]


class Explainer:
    """Explains the decisions of one policy."""

    def __init__(self, policy: Policy) -> None:
        source = replace(policy.source, optimize=False)
        planned = compiler.plan_source(source)
        mocked, overridden = scan_modifiers(tuple(planned.plans.values()))
        self._plain = Policy(source, compiler.generate(planned, source), planned)
        world = compiler.world_of(source, overridden, mocked)
        self._planned: Planned = optimized(planned, world.data, world.overridden)
        self._reader = RowReader(self._planned, world)

    def explain(self, entrypoint: str, document: Value | None, now_ns: int, nearest: int = NEAREST) -> tuple[RuleReport, ...]:
        """Return the report on an entry point, then those on the rules that its rows were left to code for.

        Raises CompileError if there is no such rule.
        """
        path = ("data", *(step for step in entrypoint.split("/") if step))
        if path not in self._planned.plans:
            self._plain.entrypoint(entrypoint)  # raises, and says which there are
            raise errors.compile_error(errors.COMPILE, f"entry point `{entrypoint}` is not one rule", Location("", 0, 0))
        verdicts = Verdicts(document)
        reports: list[RuleReport] = []
        waiting, seen = [path], {path}
        while waiting and len(reports) < MAX_RULES:
            plan = self._planned.plans[waiting.pop(0)]
            report, bodies = self._rule(plan, verdicts, document, now_ns, nearest)
            reports.append(report)
            for other in self._used(bodies):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return tuple(reports)

    def _used(self, bodies: list[p.Definition]) -> Iterator[Path]:
        """Yield the rules that bodies ask for; functions have no value of their own."""
        for path in used_groups(tuple(bodies), self._planned.program):
            if self._planned.plans[path].kind is not Kind.FUNCTION:
                yield path

    def _rule(
        self, plan: p.RulePlan, verdicts: Verdicts, document: Value | None, now_ns: int, nearest: int
    ) -> tuple[RuleReport, list[p.Definition]]:
        value, error = self._value(plan.path, document, now_ns)
        held: list[tuple[Row, RowReport]] = []
        others: list[tuple[Row, RowReport]] = []
        count = 0
        for row in self._reader.rows(plan):
            count += 1
            report = self._row(plan, row, verdicts, document, now_ns)
            (held if report.holds else others).append((row, report))
            if len(others) > KEPT:
                held = [(row, report) for row, report in held if not _comes_later(row, held)]
        others = _nearest(others, nearest)
        held = [(row, report) for row, report in held if not _comes_later(row, held)]
        others = _nearest(others, nearest)
        shown = held[:DECIDED] or others
        bodies = [body_of(plan, row) for row, _ in shown if not row.exact]
        told = tuple(report for _, report in shown)
        decided, near = (told, ()) if held else ((), told)
        return RuleReport(plan.path, plan.location, value, error, count, decided, near), bodies

    def _value(self, path: Path, document: Value | None, now_ns: int) -> tuple[Value | None, EvalError | None]:
        try:
            return self._plain.rule(path[1:]).evaluate(document, now_ns), None
        except EvalError as error:
            return None, error

    def _row(self, plan: p.RulePlan, row: Row, verdicts: Verdicts, document: Value | None, now_ns: int) -> RowReport:
        cells = tuple(map(verdicts.of, row.cells))
        report = RowReport(body_of(plan, row).location, cells)
        if row.exact or report.failed:
            return report
        context = Context(document, self._plain.artifact.data, self._plain.artifact.memo_size, now_ns)
        try:
            return replace(report, code_holds=self._plain.body_holds(plan.path, row.definition, row.position, context))
        except EvalError as error:
            return replace(report, error=error)


def _comes_later(row: Row, held: list[tuple[Row, RowReport]]) -> bool:
    """Tell whether another body of the row's `else` chain holds before it."""
    return any(other.definition == row.definition and other.position < row.position for other, _ in held)


def _nearest(rows: list[tuple[Row, RowReport]], count: int) -> list[tuple[Row, RowReport]]:
    """Return the rows with the fewest cells that fail; of those the ones that test most, as the author wrote them."""
    return sorted(rows, key=lambda item: (len(item[1].failed), -len(item[1].cells)))[:count]


def body_of(plan: p.RulePlan, row: Row) -> p.Definition:
    """Return the body that a row stands for, without the `else` behind it."""
    return replace(tuple(plan.definitions[row.definition].chain())[row.position], orelse=None)
