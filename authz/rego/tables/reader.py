"""Reading definitions: every way in which a body can hold, as a conjunction of cells.

INVARIANT: cells are necessary conditions; where no reading of a body matches an input, the body has no solution and meets no error.
Owns locals and conditions, and what is tried when a body splits into too many readings. Builds no rows and no index.
"""

from __future__ import annotations

from collections.abc import Iterator

from authz.rego import plan as p
from authz.rego.lower import ROOT_CONTEXT
from authz.rego.tables.cells import Cell, is_defined
from authz.rego.tables.columns import COLUMNS
from authz.rego.tables.conditions import NEVER, Options, options_of
from authz.rego.tables.expressions import DEAD, known_expr
from authz.rego.tables.looking import MAX_FORKS, applied
from authz.rego.tables.loops import Iterating, pairs_of
from authz.rego.tables.negation import all_hold, any_holds, closed, denied, exact_cells
from authz.rego.tables.reading import Collected, Env, Known, Reading
from authz.rego.tables.walk import MAX_STEPS, Forks, Frame
from authz.rego.values import Object, Set


class Reader(Iterating):
    """Reads definitions. `looks` into rules, `enumerates` constants, or leaves them to code."""

    _is_prepared = False

    def readings(self, frame: Frame, env: Env) -> Iterator[Reading]:
        """Yield every reading of a definition's own block. Raises TooManyReadingsError."""
        if not self._is_prepared:
            self._is_prepared = True
            self.read_rules()
        self.steps_left = MAX_STEPS
        reading = Reading()
        reading.env = env
        for found in self.walk(frame, 0, reading):
            found.finish()
            yield found

    # Locals

    def let(self, frame: Frame, place: int, step: p.Let, reading: Reading) -> Forks:
        expr = step.expr
        is_loose = False
        if reading.loose or reading.assumed:
            used = self.used_names(expr)
            is_loose = not reading.loose.isdisjoint(used)
            reading.assume(step.name, reading.grounds(used))
        if is_loose:
            reading.loose |= {step.name}
        if isinstance(expr, p.RuleValue | p.CallRule):
            return self.called(frame, place, step, expr, reading)
        if isinstance(expr, p.Comprehension):
            return self.collect(step, expr, reading)
        joined = self.joined(step, reading)
        if joined is not None:
            return joined
        known = known_expr(expr, reading, self.world)
        if known is None:
            return self.unread(step, reading)
        if known is DEAD:
            return ()
        reading.env[step.name] = known
        presence: tuple[Cell, ...] = ()
        if isinstance(known, COLUMNS):
            reading.untested.append(known)
            presence = (is_defined(known),)
        if frame.is_own and not is_loose:
            reading.covered.append((place, presence + reading.assumed.get(step.name, ())))
        return None

    # Conditions

    def check(self, frame: Frame, place: int, step: p.Check, reading: Reading) -> Forks:
        cond = step.cond
        collected = self._collected_operand(cond, reading)
        if collected is not None:
            forks = self.each_equal(*collected, reading)
            return self.unread(step, reading) if forks is None else forks
        options = self._options(cond, reading)
        if options is None or (len(options) > 1 and len(options) * reading.forks > MAX_FORKS):
            return self.unread(step, reading)
        if options is NEVER or not options:
            return ()
        _forget_truth(cond, reading)
        used = self.used_names(cond) if frame.is_own and (reading.loose or reading.assumed) else frozenset()
        is_covered = frame.is_own and reading.loose.isdisjoint(used)
        grounds = reading.grounds(used)
        count = len(options)
        forks = applied(reading, options)
        for fork, option in zip(forks, options, strict=True):
            fork.forks *= count
            if is_covered and not option.is_about_members:
                fork.covered.append((place, option.cells + grounds))
        return None if count == 1 else forks

    def _options(self, cond: p.Cond, reading: Reading) -> Options | None:
        if isinstance(cond, p.NoSolution):
            if cond.alternatives:
                return any_holds([self._nested(block, closed(reading), reading) for block in cond.alternatives])
            found = self._nested(cond.block, closed(reading), reading)
            return None if found is None else denied(found)
        if isinstance(cond, p.Every):
            return self._every(cond, reading)
        return options_of(cond, reading, self.world)

    def _nested(self, block: p.Block, env: Env, reading: Reading) -> list[tuple[Cell, ...]] | None:
        return exact_cells(self.walk(Frame(block, ()), 0, reading.inner(env)))

    def _every(self, cond: p.Every, reading: Reading) -> Options | None:
        domain = reading.atom(cond.domain)
        if cond.ctx != ROOT_CONTEXT or not isinstance(domain, p.Const):
            return None
        if not isinstance(domain.value, Object | Set | tuple):
            return NEVER
        parts: list[list[tuple[Cell, ...]]] = []
        for key, value in pairs_of(domain.value)[: MAX_FORKS + 1]:
            env = closed(reading)
            env[cond.value] = p.Const(value)
            if cond.key is not None:
                env[cond.key] = p.Const(key)
            found = self._nested(cond.block, env, reading)
            if found is None or len(parts) == MAX_FORKS:
                return None
            parts.append(found)
        return all_hold(parts)

    def _collected_operand(self, cond: p.Cond, reading: Reading) -> tuple[Known, str, Collected] | None:
        """Return the operands of `x in collected`, and a name for the member that is found."""
        if not isinstance(cond, p.Holds) or cond.call.name != "internal.member_2" or cond.call.ctx != ROOT_CONTEXT:
            return None
        item, collection = (reading.atom(arg) for arg in cond.call.args)
        return (item, "$member", collection) if item is not None and isinstance(collection, Collected) else None


def _forget_truth(cond: p.Cond, reading: Reading) -> None:
    """Drop the demand that a tested call be defined: the cells of its truth say so."""
    if isinstance(cond, p.Truthy) and reading.untested:
        column = reading.atom(cond.atom)
        reading.untested = [other for other in reading.untested if other != column]
