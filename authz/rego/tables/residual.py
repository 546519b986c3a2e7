"""Residual code: what of a body is left to do for a row, once the table has said what it can.

Owns which steps a row spares. Makes plans; writes no code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from authz.rego import plan as p
from authz.rego.planlocals import used_names
from authz.rego.program import Kind
from authz.rego.tables.canonical import Form, form_of, is_shareable, values_of, with_constants
from authz.rego.tables.cells import Cell, conjunct_key, demands_presence, is_presence
from authz.rego.tables.columns import Column, parts_of
from authz.rego.tables.reading import Turn
from authz.rego.tables.rows import Row
from authz.rego.values import Value

ROW_PARAM: Final = "e"
"""The parameter that holds what a row knows: the values that `Bind` steps take."""


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left to do for a row: code in a form that others may share, its constants, and the values of the row's turns."""

    form: Form
    constants: tuple[p.Const, ...]
    values: tuple[Value, ...]


class ResidualMaker:
    """Makes the residual code of the rows of one rule; rows that spare the same steps share it."""

    def __init__(self, plan: p.RulePlan) -> None:
        self._bodies = [tuple(definition.chain()) for definition in plan.definitions]
        self._made: dict[tuple[object, ...], tuple[Form, tuple[p.Const, ...]]] = {}
        self._is_object = plan.kind is Kind.OBJECT  # its code names its place in a conflict
        self._forms: dict[Form, Form] = {}
        self._present: dict[frozenset[Column], frozenset[Column]] = {}

    def residual(self, row: Row, said: frozenset[Cell]) -> Residual:
        """Return what is left to do for a row; `said` are the cells that the row's place in the table says all of."""
        known = {conjunct_key(cell) for cell in said}
        turns = row.turns
        covered: frozenset[int] = frozenset()
        present = self._columns(said)
        if all(_is_said(cell, known, present) for turn in turns for cell in turn.cells):
            covered = frozenset(place for place, cells in row.covered if all(_is_said(cell, known, present) for cell in cells))
        else:  # the table does not say that there are such turns: the whole body has to
            turns = ()
        places = tuple((turn.place, turn.key is not None) for turn in turns)
        key = (row.definition, row.position, covered, places)
        made = self._made.get(key)
        if made is None:
            body = self._bodies[row.definition][row.position]
            made = self._made[key] = self._form(_reduced(body, covered, dict(places)))
        return Residual(*made, tuple(value for turn in turns for value in _turn_values(turn)))

    def _form(self, definition: p.Definition) -> tuple[Form, tuple[p.Const, ...]]:
        if self._is_object or not is_shareable(definition):
            return Form(definition, 0), ()
        form, constants = form_of(definition)
        return self._forms.setdefault(form, form), constants

    def _columns(self, said: frozenset[Cell]) -> frozenset[Column]:
        """Return the columns that are there where these cells hold."""
        columns = frozenset(cell.column for cell in said if demands_presence(cell))
        present = self._present.get(columns)
        if present is None:
            present = self._present[columns] = frozenset(part for column in columns for part in parts_of(column))
        return present


def joined(residuals: Iterable[Residual]) -> tuple[list[p.Definition], list[tuple[int, tuple[Value, ...]]]]:
    """Return the code of all residuals and, for each residual, the number of its code and the values it is handed.

    Those of one form share their code if as many values of turns come before the constants, also where the code needs none of them.
    """
    groups: dict[tuple[int, int], list[Residual]] = {}
    listed = list(residuals)
    for residual in listed:
        groups.setdefault(_sharing(residual), []).append(residual)
    definitions: list[p.Definition] = []
    numbers: dict[tuple[int, int], tuple[int, list[int]]] = {}
    for sharing, group in groups.items():
        first = group[0]
        definition, brought = with_constants(first.form, [other.constants for other in group], len(first.values))
        numbers[sharing] = len(definitions), brought
        definitions.append(definition)
    found = [(*numbers[_sharing(residual)], residual) for residual in listed]
    return definitions, [(number, residual.values + values_of(residual.constants, brought)) for number, brought, residual in found]


def _sharing(residual: Residual) -> tuple[int, int]:
    return id(residual.form), len(residual.values)


def _turn_values(turn: Turn) -> tuple[Value, ...]:
    return (turn.value,) if turn.key is None else (turn.key, turn.value)


def _is_said(cell: Cell, known: set[object], present: frozenset[Column]) -> bool:
    """Tell whether the cells of a row include this one; presence, which others imply, need not be one of them."""
    return cell.column in present if is_presence(cell) else conjunct_key(cell) in known


def _reduced(body: p.Definition, covered: frozenset[int], turns: dict[int, bool]) -> p.Definition:
    """Return the body without the steps that are covered; iterations of which the row is a turn take their values from it."""
    steps: list[tuple[p.Step, bool]] = []
    slots = 0
    for place, step in enumerate(body.block):
        if place in turns:
            assert isinstance(step, p.Loop)
            names = (step.key, step.value) if turns[place] else (step.value,)
            steps += [(p.Bind(name, slots + offset, step.location), True) for offset, name in enumerate(names) if name is not None]
            slots += len(names)
        elif place not in covered or isinstance(step, p.Let):
            steps.append((step, place in covered))
    return replace(body, block=tuple(_needed(steps, body.heads)), params=(ROW_PARAM, *body.params), orelse=None)


def _needed(steps: Iterable[tuple[p.Step, bool]], heads: tuple[p.Atom, ...]) -> list[p.Step]:
    """Return the steps without those that only bind a local which nobody uses and which is sure to be defined."""
    needed = set(used_names(heads))
    kept: list[p.Step] = []
    for step, is_certain in reversed(list(steps)):
        if is_certain and isinstance(step, p.Let | p.Bind) and step.name not in needed:
            continue
        kept.append(step)
        needed |= used_names(step)
    return kept[::-1]
