"""The rules of a policy as an observed evaluation needs them, each made when it is first asked for.

Shared by the evaluations of one policy; evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from authz.rego.observed.index import RuleIndex
from authz.rego.observed.plans import Definition
from authz.rego.planner import Planned
from authz.rego.program import Group, Kind, Member, Path


class Rules:
    """Definitions, defaults and indexes by group."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self._defaults: dict[Path, Definition | None] = {}
        self._key_defaults: dict[Path, tuple[Definition, ...]] = {}
        self._indexes: dict[Path, RuleIndex] = {}

    def index(self, group: Group) -> RuleIndex:
        """Return the index of a group's definitions."""
        if group.path not in self._indexes:
            definitions = tuple(Definition(self.planned, group, member) for member in _members(group))
            self._indexes[group.path] = RuleIndex(definitions, self.planned.program.root)
        return self._indexes[group.path]

    def key_defaults(self, group: Group) -> tuple[Definition, ...]:
        """Return the defaults of single keys of an object: they count if all its keys are constants."""
        if group.path not in self._key_defaults:
            members = group.defaults if group.is_constant else ()
            self._key_defaults[group.path] = tuple(Definition(self.planned, group, member) for member in members)
        return self._key_defaults[group.path]

    def default(self, group: Group) -> Definition | None:
        """Return the default of a document or function."""
        if group.path not in self._defaults:
            is_whole = group.defaults and group.kind is not Kind.OBJECT
            self._defaults[group.path] = Definition(self.planned, group, group.defaults[0]) if is_whole else None
        return self._defaults[group.path]


def _members(group: Group) -> Iterator[Member]:
    """Yield the rules of a group; the keys of an object that are not all constants are found by the first links of chains alone."""
    for member in group.members:
        is_first_alone = group.kind is Kind.OBJECT and not group.is_constant
        yield replace(member, rule=replace(member.rule, orelse=None)) if is_first_alone else member
