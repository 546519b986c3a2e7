"""The rules of a policy as an observed evaluation needs them, each made when it is first asked for.

Shared by the evaluations of one policy; evaluates nothing.
"""

from __future__ import annotations

from authz.rego.observed.index import RuleIndex
from authz.rego.observed.plans import Definition
from authz.rego.planner import Planned
from authz.rego.program import Group, Member, Path


class Rules:
    """Definitions, defaults and indexes by group."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self._defaults: dict[Path, Definition | None] = {}
        self._indexes: dict[Path, RuleIndex] = {}

    def index(self, group: Group) -> RuleIndex:
        """Return the index of a group's definitions."""
        if group.path not in self._indexes:
            definitions = tuple(Definition(self.planned, group, member) for member in group.members)
            self._indexes[group.path] = RuleIndex(definitions, self.planned.program.root)
        return self._indexes[group.path]

    def default(self, group: Group) -> Definition | None:
        if group.path not in self._defaults:
            default = group.default
            self._defaults[group.path] = None if default is None else Definition(self.planned, group, Member(default, ()))
        return self._defaults[group.path]
